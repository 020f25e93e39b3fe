// SPDX-License-Identifier: MIT
// A step of a handshake takes 0.3 to 0.9 ms with the usual keys, and more with large ones. So a turn does not
// take a number of them but a time, and one at least; what waits for its step is not read from the kernel.
#include "loop/tls_server.h"
#include <openssl/bio.h>
#include "loop/tls_wire.h"

static const double SHARE_SECONDS = 0.003;

static struct tls_turn *turn_shift(struct list *l) {
  struct list *node = list_shift(l);
  return node ? container_of(node, struct tls_turn, link) : NULL;
}

// True where anything went on: who writes has had its turn already.
static bool run_turns(struct loop_hook *hook) {
  struct tls_server *s = container_of(hook, struct tls_server, hook);
  if (list_empty(&s->reading) && list_empty(&s->shaking)) return false;
  struct list now;
  list_init(&now);
  list_splice(&now, &s->reading);
  for (struct tls_turn *t; (t = turn_shift(&now));) t->go_on(t);
  double until = clock_now(s->loop->clock) + SHARE_SECONDS;
  for (struct tls_turn *t; (t = turn_shift(&s->shaking));) {
    t->go_on(t);
    if (clock_now(s->loop->clock) >= until) break;
  }
  return true;
}

void tls_server_init(struct tls_server *s, struct loop *loop, struct tls_counters *counters,
                     size_t handshakes_max) {
  *s = (struct tls_server){
      .loop = loop, .hook = {.run = run_turns}, .counters = counters, .count_max = handshakes_max};
  list_init(&s->reading);
  list_init(&s->shaking);
  loop_hook_add(loop, &s->hook);
}

void tls_server_deinit(struct tls_server *s) {
  loop_hook_remove(s->loop, &s->hook);
  tls_hosts_unref(s->hosts);
  BIO_meth_free(s->wire);
  s->hosts = NULL, s->wire = NULL;
}

void tls_server_use(struct tls_server *s, struct tls_hosts *hosts) {
  tls_hosts_unref(s->hosts);
  s->hosts = hosts;
  if (!s->wire) s->wire = tls_wire_method();
}

void tls_server_queue(struct tls_server *s, struct tls_turn *t, bool is_open) {
  if (list_empty(&t->link)) list_append(is_open ? &s->reading : &s->shaking, &t->link);
}
