// SPDX-License-Identifier: MIT
// A state of the process of its own keeps its connections, requests and Lua state out of the application's
// numbers and limits. Nobody reloads, drains or surveys this worker.
#include "process/admin.h"
#include <stdlib.h>
#include <string.h>
#include "base/log.h"
#include "base/mem.h"
#include "http/authority.h"

enum { CONNECTIONS = 256 }; // so many at a time

static const char APP[] = "spate.panel.listener";
static const char USUAL_ADDRESS[] = "127.0.0.1:9090", ANY_PORT[] = "127.0.0.1:0";

// The settings of the application, but for what is about the application. No proxy is believed: a page whose
// own name points here can send X-Forwarded-Host itself, and would be called as this machine is.
static struct settings settings_of(const struct options *o) {
  struct settings s = o->settings;
  s.dev.on = s.dev.inject = false;
  s.log.access = false;
  s.limits.connections = CONNECTIONS;
  s.trusted_proxies = (struct trusted){0};
  return s;
}

void admin_init(struct admin *a, const struct options *o) {
  static const char https[] = "https://", http[] = "http://";
  const char *text = o->admin_is_usual ? USUAL_ADDRESS : o->settings.admin.address;
  a->settings = settings_of(o);
  a->address.is_secure = !strncmp(text, https, sizeof https - 1);
  if (a->address.is_secure) text += sizeof https - 1;
  else if (!strncmp(text, http, sizeof http - 1)) text += sizeof http - 1;
  a->address.address = xstrdup(text);
  a->addresses = (struct listen_addresses){.list = &a->address, .count = *text && !o->only_starts};
  listening_init(&a->listening, &a->addresses, 1, "--admin", o->admin_is_configured);
  a->listening.takes_any = o->admin_is_usual;
}

// The usual address serves one spate dev; the next has any port.
int admin_open(struct admin *a, struct activation *passed) {
  struct listening *l = &a->listening;
  char error[SOCK_ERROR_MAX];
  int fd = -1;
  if (l->takes_any && l->count) {
    fd = sock_listen(USUAL_ADDRESS, false, error);
    if (fd < 0) fd = sock_listen(ANY_PORT, false, error);
  }
  if (fd < 0) return listening_open(l, passed);
  l->fds[0] = fd;
  listening_adopt(l);
  return -1;
}

bool admin_start(struct admin *a, const struct worker_config *like) {
  struct worker_config config = *like;
  if (!a->addresses.count) return true;
  a->owner = (struct worker_owner){.inbox = like->owner->inbox};
  metrics_init(&a->process.metrics);
  a->process.groups = like->process->groups;
  config.number = 0;
  config.settings = &a->settings;
  config.subject = like->process, config.process = &a->process;
  config.own_app = APP;
  config.listeners = listening_of(&a->listening, 0);
  config.listener_kinds = a->listening.kinds;
  config.listener_count = a->listening.count;
  config.owner = &a->owner;
  a->worker = worker_new(&config);
  return a->worker;
}

static bool is_open_to_others(const struct admin *a) {
  const char *name = admin_name(a);
  return !strchr(name, '/') && !host_is_loopback(authority_host(span_of(name)));
}

void admin_serve(struct admin *a) {
  if (!a->worker) return;
  worker_serve(a->worker);
  if (is_open_to_others(a) && !*a->settings.admin.token)
    log_message(
        LOG_WARN,
        "the admin listener at %s asks nobody who he is, and other machines reach it: give it a token "
        "(SPATE_ADMIN_TOKEN, or admin = { ADDRESS, token = ... }), or have it listen at 127.0.0.1",
        admin_name(a));
}

const char *admin_scheme(const struct admin *a) { return listening_scheme(&a->listening, 0); }

const char *admin_name(const struct admin *a) { return a->worker ? listening_name(&a->listening, 0) : ""; }

void admin_leave(struct admin *a) {
  listening_leave_files(&a->listening);
  if (a->worker) worker_stop_listening(a->worker);
}

void admin_stop(struct admin *a) {
  if (!a->worker) return;
  worker_quit(a->worker);
  worker_join(a->worker);
}

void admin_free(struct admin *a) {
  if (a->worker) {
    worker_free(a->worker);
    metrics_deinit(&a->process.metrics);
  }
  listening_close(&a->listening);
  free(a->address.address);
}
