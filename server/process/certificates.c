// SPDX-License-Identifier: MIT
// What a file holds is noted before it is read, so that a save in between is seen. A new certificate and its
// key are two saves; where they are far apart the first reading fails, is told, and the next one succeeds.
#include "process/certificates.h"
#include "base/log.h"

static const double WARN_SECONDS = 30 * 86400.0;

static void note_file(struct sources *s, const char *path) {
  if (*path) sources_add_path(s, path);
}

static void note_files(struct certificates *c) {
  if (!c->watch.loop) return;
  sources_begin(&c->watch.sources);
  for (size_t i = 0; i < c->config->count; i++) {
    const struct tls_host_config *h = &c->config->hosts[i];
    note_file(&c->watch.sources, tls_text(c->config, h->cert));
    note_file(&c->watch.sources, tls_text(c->config, h->key));
    note_file(&c->watch.sources, tls_text(c->config, h->client_ca));
  }
  sources_end(&c->watch.sources, true);
}

static void warn_of_end(void *arg, const char *file, double seconds) {
  (void)arg;
  if (seconds <= 0) log_message(LOG_ERROR, "tls: %s has ended: clients refuse it", file);
  else if (seconds < WARN_SECONDS)
    log_message(LOG_WARN, "tls: %s ends in %d days", file, (int)(seconds / 86400));
}

static void use(struct certificates *c, struct tls_hosts *hosts) {
  tls_hosts_unref(c->hosts);
  c->hosts = hosts;
  tls_hosts_each_end(hosts, clock_wall(clock_system()), warn_of_end, NULL);
}

bool certificates_open(struct certificates *c, const struct tls_config *config, struct tls_keys *keys) {
  c->config = config, c->keys = keys;
  if (!config->count) return true;
  struct tls_hosts *hosts = tls_hosts_new(config, keys, c->error);
  if (hosts) use(c, hosts);
  return hosts;
}

const char *certificates_read(struct certificates *c) {
  if (!c->config->count) return NULL;
  note_files(c);
  struct tls_hosts *hosts = tls_hosts_new(c->config, c->keys, c->error);
  if (!hosts) {
    log_message(LOG_ERROR, "%s; the certificates that are in use stay", c->error);
    return c->error;
  }
  use(c, hosts);
  c->on_new(c);
  return NULL;
}

static void on_change(struct source_watch *w) {
  struct certificates *c = container_of(w, struct certificates, watch);
  if (!certificates_read(c)) log_message(LOG_INFO, "tls: certificates read anew");
  source_watch_update(w);
}

void certificates_watch(struct certificates *c, struct loop *loop) {
  if (!c->config->count) return;
  source_watch_open(&c->watch, loop, on_change);
  note_files(c);
  source_watch_update(&c->watch);
}

void certificates_close(struct certificates *c) {
  if (c->watch.loop) source_watch_close(&c->watch);
  tls_hosts_unref(c->hosts);
  c->hosts = NULL;
}
