// SPDX-License-Identifier: MIT
// An ask has one deadline, for its way to the server and for waiting for its channel. What becomes of it
// there when that is over nobody knows: it was kept, or was not, and if it was, its event comes.
#include "client/redis_asks.h"
#include <stdlib.h>
#include "base/mem.h"
#include "client/redis_page.h"

enum { ASKS_MAX = 65536 };

struct redis_ask {
  struct redis_command command;
  struct redis_waiting waiting;
  struct list due; // of all asks, oldest first
  struct redis_asks *asks;
  double deadline;
  struct position newest; // of its channel, when the page was asked for
  bool is_read, is_kept;  // it has its page; its event is there
  bool is_repeated;       // as the server had not the functions
};

static struct redis_ask *ask_of(struct redis_waiting *w) {
  return container_of(w, struct redis_ask, waiting);
}

// The ask ends.
static void answer(struct redis_ask *a, enum store_answer how) {
  struct redis_asks *all = a->asks;
  struct store_request *r = a->waiting.request;
  list_remove(&a->waiting.link);
  list_remove(&a->due);
  redis_leave(&a->command);
  all->count--;
  free(a);
  store_answer(r, how);
  all->on_answered(all);
}

static void drop_page(struct store_request *r) {
  for (size_t i = 0; i < r->count; i++) event_unref(r->events[i]);
  free(r->events);
  r->events = NULL, r->count = 0;
}

// `why` for who asked, one word or two, static.
static void fail(struct redis_ask *a, const char *why) {
  drop_page(a->waiting.request);
  a->waiting.request->why = why;
  atomic_fetch_add(&a->asks->counters->refused_total, 1);
  answer(a, STORE_UNAVAILABLE);
}

// Its channel has come as far.
static void settle(struct redis_ask *a) { answer(a, STORE_OK); }

static void read_page(struct redis_ask *a) {
  struct store_request *r = a->waiting.request;
  struct redis_calls *calls = &a->asks->follows.calls;
  if (r->last) r->at = (struct position){0};
  a->newest = channel_newest(r->channel);
  bool is_tail = r->last > 0 && (size_t)r->last < r->channel->options.history;
  bool is_sent = is_tail ? call_tail(calls, &a->command, r->channel, r->last)
                         : call_read(calls, &a->command, r->channel, r->at);
  if (!is_sent) fail(a, "busy");
}

void redis_asks_ready(struct redis_waiting *w) {
  struct redis_ask *a = ask_of(w);
  if (w->request->what == STORE_READ && !a->is_read) read_page(a);
  else settle(a);
}

// Puts what follows `from` into the page.
static void take_page(struct store_request *r, const redisReply *page, struct position from) {
  struct event *e;
  r->events = xmalloc((page_count(page) + 1) * sizeof *r->events);
  for (size_t i = 0; r->count < STORE_PAGE_MAX && page_event(page, i, r->channel->name, &e); i++) {
    if (position_equals(event_position(e), from)) event_unref(e);
    else r->events[r->count++] = e, r->at = event_position(e);
  }
}

// Whether what lies directly behind the request's position is there: by the page that was read from there.
static bool is_whole(const struct store_request *r, const redisReply *page) {
  struct position first;
  if (r->last) return true;
  if (!page_position(page, 1, &first)) return !r->at.epoch;
  return page_goes_on(r->at, first);
}

// The first page of all is read where what was asked for is gone.
static void on_page(struct redis_ask *a, const redisReply *page) {
  struct store_request *r = a->waiting.request;
  bool is_first = !r->at.epoch && !r->last;
  if (!is_whole(r, page)) {
    r->is_gone = true;
    if (!is_first) {
      r->at = (struct position){0};
      read_page(a);
      return;
    }
  }
  a->is_read = true;
  take_page(r, page, r->at);
  if (!r->count && !r->at.epoch)
    r->at = a->newest; // the server has nothing of it: who asked has all there is
  struct redis_follow *f = redis_follow_of(&a->asks->follows, r->channel, false);
  if (f) redis_follow_reach(f, &a->waiting);
  else settle(a);
}

// It is kept, whatever comes: who asked is answered once the channel here has it, where that is used.
static void on_kept(struct redis_ask *a, struct position at) {
  struct store_request *r = a->waiting.request;
  struct redis_follow *f = redis_follow_of(&a->asks->follows, r->channel, false);
  r->at = at, a->is_kept = true;
  if (r->has_event) atomic_fetch_add(&a->asks->counters->kept_total, 1);
  if (!f || !f->is_loaded) {
    settle(a);
    return;
  }
  if (r->has_event && !r->member.bytes) redis_follow_admit(f, &r->fields, r->key, at);
  if (r->what == STORE_FINISH) redis_follow_end(f, at);
  redis_follow_reach(f, &a->waiting);
}

static void take_members(struct store_request *r, const redisReply *reply) {
  for (size_t i = 0; i < (size_t)reply->elements; i++) {
    struct span text = redis_text(reply->element[i]);
    if (text.len) buf_append_span(&r->members, text);
    buf_append_byte(&r->members, '\0');
  }
}

static bool carry_out(struct redis_ask *a);

// The server has not the functions: nothing was done.
static void repeat(struct redis_ask *a) {
  call_load(&a->asks->follows.calls, a->waiting.request->channel->node.name);
  a->is_repeated = true;
  if (!carry_out(a)) fail(a, "busy");
}

static void on_reply(struct redis_command *c, struct redis_answer *reply) {
  struct redis_ask *a = container_of(c, struct redis_ask, command);
  struct store_request *r = a->waiting.request;
  struct position at = {0};
  if (reply->code == REDIS_CODE_NOSCRIPT && !a->is_repeated) {
    repeat(a);
    return;
  }
  if (reply->code != REDIS_CODE_OK) fail(a, redis_code_name(reply->code));
  else if (r->what == STORE_READ) on_page(a, reply->reply);
  else if (r->what == STORE_MEMBERS) take_members(r, reply->reply), settle(a);
  else if (reply->reply->type == REDIS_REPLY_NIL) answer(a, STORE_ENDED);
  else if (record_position(redis_text(reply->reply), &at)) on_kept(a, at);
  else settle(a);
}

static bool join(struct redis_ask *a) {
  const struct store_request *r = a->waiting.request;
  struct redis_calls *calls = &a->asks->follows.calls;
  struct buf came = {0};
  if (r->member_leaves) return call_leave(calls, &a->command, r->channel, r->member);
  record_write(&came, &r->fields, r->key);
  redis_follow_of(&a->asks->follows, r->channel, true); // has it renewed
  bool is_sent = call_join(calls, &a->command, r->channel, r->member, r->meta, buf_span(&came));
  buf_deinit(&came);
  return is_sent;
}

static bool append(struct redis_ask *a) {
  struct store_request *r = a->waiting.request;
  struct buf bytes = {0};
  if (r->has_event) record_write(&bytes, &r->fields, r->key);
  bool is_sent = call_append(&a->asks->follows.calls, &a->command, r->channel, buf_span(&bytes),
                             r->what == STORE_FINISH);
  buf_deinit(&bytes);
  return is_sent;
}

// With the channel first, where it is to be there.
static bool follow(struct redis_ask *a) {
  struct redis_follow *f = redis_follow_of(&a->asks->follows, a->waiting.request->channel, true);
  if (f) redis_follow_load(f, &a->waiting);
  return f;
}

static bool carry_out(struct redis_ask *a) {
  struct redis_calls *calls = &a->asks->follows.calls;
  switch (a->waiting.request->what) {
  case STORE_OPEN:
  case STORE_READ: return follow(a);
  case STORE_MEMBERS: return call_members(calls, &a->command, a->waiting.request->channel);
  case STORE_APPEND:
    if (a->waiting.request->member.bytes) return join(a);
    return append(a);
  case STORE_FINISH: return append(a);
  case STORE_REMOVE: return call_remove(calls, &a->command, a->waiting.request->channel);
  }
  return false;
}

void redis_ask_store(struct redis_asks *all, struct store_request *r) {
  struct redis_ask *a = xcalloc(1, sizeof *a);
  a->asks = all, a->waiting.request = r, a->command.on_reply = on_reply;
  a->deadline = all->follows.loop->now + all->timeout;
  list_init(&a->waiting.link);
  list_init(&a->due);
  list_append(&all->list, &a->due);
  if (++all->count > ASKS_MAX || !carry_out(a)) fail(a, "busy");
}

// What is kept is so, whether the channel has come as far or not.
void redis_asks_tick(struct redis_asks *all) {
  while (!list_empty(&all->list)) {
    struct redis_ask *a = container_of(all->list.next, struct redis_ask, due);
    if (a->deadline > all->follows.loop->now) break;
    if (a->is_kept) settle(a);
    else fail(a, "slow");
  }
  redis_follows_tick(&all->follows);
}

void redis_asks_init(struct redis_asks *all, double timeout) {
  all->timeout = timeout;
  list_init(&all->list);
}

void redis_asks_refuse(struct redis_asks *all) {
  while (!list_empty(&all->list)) fail(container_of(all->list.next, struct redis_ask, due), "closed");
}
