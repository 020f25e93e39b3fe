// SPDX-License-Identifier: MIT
// Other processes are told in text: who tells, so that it does not hear itself, what, how long to wait, how
// long the name is, then name and reason.
#include "serve/kick.h"
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/buf.h"
#include "base/lock.h"
#include "base/mem.h"
#include "event/broker.h"
#include "event/sse.h"
#include "serve/feed.h"
#include "serve/service.h"
#include "serve/connections.h"
#include "serve/stream.h"
#include "serve/stream_id.h"
#include "serve/tags.h"

enum { FAREWELLS = 16, HEAD_MAX = 96 }; // so many clients' times to come back differ

struct kick_message {
  struct message message;
  struct service *service;
  struct kick kick; // in `bytes`
  char bytes[];
};

// The events that say goodbye, each with its own time to come back.
struct farewells {
  struct service *service;
  const struct kick *kick;
  struct event *events[FAREWELLS];
  size_t count; // of those who have been told
};

static struct event *farewell_new(const struct farewells *f) {
  double retry = f->kick->retry > 0 ? f->kick->retry : f->service->settings->shutdown.retry;
  struct sse_fields fields = SSE_NO_FIELDS;
  fields.event = SPAN("kick"), fields.data = f->kick->reason;
  fields.retry_ms = (int64_t)(retry * (1 + service_random(f->service)) * 1e3);
  return sse_encode(&fields, sse_length(&fields));
}

static struct event *farewell(struct farewells *f) {
  struct event **e = &f->events[f->count % FAREWELLS];
  if (!*e) *e = farewell_new(f);
  return *e;
}

static void kick_tag(struct farewells *f) {
  struct list *taggings = tags_find(f->service, f->kick->name);
  if (!taggings) return;
  list_each (node, taggings)
    f->count += stream_kick(container_of(node, struct tagging, link)->stream, farewell(f));
}

static void kick_channel(struct farewells *f) {
  struct channel *c = broker_find(f->service->broker, f->kick->name);
  if (!c) return;
  struct list *subscribers = channel_subscribers_at(c, f->service->inbox);
  if (subscribers) {
    list_each (node, subscribers)
      f->count += feed_kick(feed_of(container_of(node, struct subscriber, link)), farewell(f));
  }
  channel_unref(c);
}

static void kick_if_named(struct stream *s, void *arg) {
  struct farewells *f = arg;
  char id[STREAM_ID_MAX];
  stream_id_text(s, id);
  if (span_equal(span_of(id), f->kick->name)) f->count += stream_kick(s, farewell(f));
}

static void kick_stream(struct farewells *f) { connections_each_stream(f->service, kick_if_named, f); }

// The worker's own streams; how many it had.
static size_t kick_all(struct service *s, const struct kick *k) {
  struct farewells f = {.service = s, .kick = k};
  static void (*const kicks[])(struct farewells * f) = {kick_tag, kick_channel, kick_stream};
  kicks[k->what](&f);
  connections_hasten(s);
  for (size_t i = 0; i < FAREWELLS; i++) event_unref(f.events[i]);
  return f.count;
}

static void deliver(struct message *m) {
  struct kick_message *k = container_of(m, struct kick_message, message);
  kick_all(k->service, &k->kick);
  free(k);
}

static void post(struct service *s, const struct kick *k) {
  struct kick_message *m = xmalloc(sizeof *m + k->name.len + k->reason.len);
  *m = (struct kick_message){.message = {.deliver = deliver}, .service = s, .kick = *k};
  memcpy(m->bytes, k->name.bytes, k->name.len);
  m->kick.name.bytes = m->bytes;
  m->kick.reason.bytes = m->bytes + k->name.len;
  if (k->reason.len) memcpy(m->bytes + k->name.len, k->reason.bytes, k->reason.len);
  inbox_post(s->inbox, &m->message);
}

void kick_one(struct stream *s, struct span reason) {
  const struct kick k = {.reason = reason};
  const struct farewells f = {.service = stream_service(s), .kick = &k};
  struct event *last = farewell_new(&f);
  stream_kick(s, last);
  event_unref(last);
}

// All workers of this process. Any thread.
static void kick_here(struct process_state *p, const struct kick *k) {
  lock_take(&p->metrics.lock);
  list_each (node, &p->metrics.workers) post(container_of(node, struct service, counted), k);
  lock_release(&p->metrics.lock);
}

void kick_write(const struct process_state *p, const struct kick *k, struct buf *out) {
  char head[HEAD_MAX];
  int len = snprintf(head, sizeof head, "kick %" PRIx64 " %d %.3f %zu\n", p->kicks.self, k->what, k->retry,
                     k->name.len);
  buf_append(out, head, (size_t)len);
  buf_append_span(out, k->name);
  buf_append_span(out, k->reason);
}

bool kick_elsewhere(struct service *s, const struct kick *k) {
  struct store *store = s->broker->store;
  struct buf text = {0};
  if (!store || !store->ops->tell) return false;
  kick_write(service_subject(s), k, &text);
  store_tell(store, buf_span(&text));
  buf_deinit(&text);
  return true;
}

void kick_everywhere(struct service *s, const struct kick *k) {
  kick_here(service_subject(s), k);
  kick_elsewhere(s, k);
}

// False for what is no such message; `from` is the process that has written it.
static bool read_message(struct span message, uint64_t *from, struct kick *k) {
  char head[HEAD_MAX];
  int what, read;
  size_t len;
  snprintf(head, sizeof head, "%.*s", (int)MIN(message.len, sizeof head), message.bytes);
  if (sscanf(head, "kick %" SCNx64 " %d %lf %zu%n", from, &what, &k->retry, &len, &read) != 4) return false;
  if (head[read] != '\n') return false;
  size_t at = (size_t)read + 1;
  if (len > message.len - at || what < KICK_TAG || what > KICK_STREAM) return false;
  k->what = (enum kick_what)what;
  k->name = (struct span){message.bytes + at, len};
  k->reason = (struct span){message.bytes + at + len, message.len - at - len};
  return true;
}

void kick_and_count(struct service *s, struct span about, struct buf *out) {
  uint64_t from;
  struct kick k;
  bool is_one = read_message(about, &from, &k);
  assert(is_one); // kick_write's
  buf_printf(out, "%zu", kick_all(s, &k));
}

static void on_told(struct store_listener *l, struct span message) {
  struct process_state *p = container_of(l, struct process_state, kicks.listener);
  uint64_t from;
  struct kick k;
  if (read_message(message, &from, &k) && from != p->kicks.self) kick_here(p, &k);
}

struct store_listener *kick_listener(struct process_state *p) {
  p->kicks.self = map_seed(p);
  p->kicks.listener.on_told = on_told;
  return &p->kicks.listener;
}
