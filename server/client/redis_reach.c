// SPDX-License-Identifier: MIT
// A node that answers is there, also where it refuses the question, as one with an ACL may: only that it says
// the cluster's state is another than "ok" counts against it. A cluster that has lost a node's slots says so
// too, unless it serves the others all the same (cluster-require-full-coverage no).
#include "client/redis_reach.h"
#include <stdio.h>

static const double EACH_SECONDS = 1, ANSWER_SECONDS = 1, DOWN_SECONDS = 5;

static bool has_failed(struct redis_reach *r, const struct redis_answer *a) {
  if (!a->reply) {
    snprintf(r->why, sizeof r->why, "%s", a->message ? a->message : "no answer");
    return true;
  }
  struct span text = redis_text(a->reply), name = SPAN("cluster_state:");
  const char *at = text.len ? memmem(text.bytes, text.len, name.bytes, name.len) : NULL;
  if (!at) return false;
  struct span rest = {at + name.len, text.len - (size_t)(at + name.len - text.bytes)};
  struct span state = span_split(&rest, '\r');
  snprintf(r->why, sizeof r->why, "the cluster's state is '" SPAN_FMT "'", SPAN_ARG(state));
  return !span_equal(state, SPAN("ok"));
}

static void on_state(struct redis_command *c, struct redis_answer *a) {
  struct redis_reach *r = container_of(c, struct redis_reach, asking);
  r->is_well = !has_failed(r, a);
  if (r->is_well) r->well_at = r->loop->now;
  else redis_cluster_pass_over(r->cluster, r->asked);
}

void redis_reach_init(struct redis_reach *r, struct loop *loop, struct redis_cluster *cluster) {
  *r = (struct redis_reach){.cluster = cluster, .loop = loop, .asked_at = loop->now, .well_at = loop->now};
  r->asking.on_reply = on_state, r->asking.timeout = ANSWER_SECONDS;
  redis_cluster_refresh(cluster); // while the nodes of the address can tell of the others
}

void redis_reach_deinit(struct redis_reach *r) { redis_leave(&r->asking); }

void redis_reach_look(struct redis_reach *r) {
  static const char info[] = "*2\r\n$7\r\nCLUSTER\r\n$4\r\nINFO\r\n";
  if (r->asking.routed || r->loop->now < r->asked_at + EACH_SECONDS) return;
  r->asked_at = r->loop->now, r->asked = redis_cluster_place(r->cluster, (struct span){0});
  redis_cluster_ask(r->cluster, &r->asking, (struct span){0}, (struct span){info, sizeof info - 1}, 0);
}

bool redis_reach_is_down(const struct redis_reach *r) { return r->loop->now > r->well_at + DOWN_SECONDS; }
