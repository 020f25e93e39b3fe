// SPDX-License-Identifier: MIT
// It keeps events whole, by channel, in order of their positions, and reads pages of a few, so that specs see
// several. Its lock guards all of it, and comes after a channel's: requests arrive with that held.
#include "harness/test_store.h"
#include <lauxlib.h>
#include <stdlib.h>
#include "base/lock.h"
#include "base/mem.h"
#include "script/class.h"

enum { PAGE = 4 };
static const uint64_t FIRST_EPOCH = 0xe0;
static const char STORE[] = "spate.harness.store";

// What is kept of a channel; events[0] .. events[count - 1], of which those before `trimmed` are forgotten.
struct kept {
  struct list link;
  char *name;
  struct event **events;
  size_t count, cap, trimmed;
  struct position first, newest; // before events[0], and behind the last
  uint64_t epoch;                // of the next
  bool is_finished;
};

static void take(struct store *s, struct store_request *r) {
  struct test_store *t = container_of(s, struct test_store, store);
  lock_take(&t->lock);
  list_append(&t->requests, &r->job.done.link);
  pthread_cond_signal(&t->asked);
  lock_release(&t->lock);
}

static void tell(struct store *s, struct span message) {
  struct test_store *t = container_of(s, struct test_store, store);
  buf_reset(&t->told, 0);
  buf_append_span(&t->told, message);
}

static const struct store_ops ops = {.take = take, .tell = tell};

void test_store_init(struct test_store *t, struct broker *b, const struct clock *clock) {
  *t = (struct test_store){.store = {.ops = &ops, .kind = STORE_SQLITE, .clock = clock},
                           .broker = b,
                           .clock = clock,
                           .is_open = true};
  b->store = &t->store;
  lock_init(&t->lock);
  pthread_cond_init(&t->asked, NULL);
  list_init(&t->requests);
  list_init(&t->kept);
}

// The thread that carries out also changes what is kept; without one the spec's thread does both.
static struct kept *kept_of(struct test_store *t, const char *name) {
  list_each (node, &t->kept) {
    struct kept *k = container_of(node, struct kept, link);
    if (!strcmp(k->name, name)) return k;
  }
  struct kept *k = xcalloc(1, sizeof *k);
  k->name = xstrdup(name), k->first.epoch = k->newest.epoch = k->epoch = FIRST_EPOCH;
  list_append(&t->kept, &k->link);
  return k;
}

static struct event *keep(struct kept *k, const struct sse_fields *fields, uint64_t key) {
  char id[CHANNEL_ID_MAX];
  if (k->newest.epoch != k->epoch) k->newest = (struct position){k->epoch, 0};
  k->newest.seq++;
  if (k->count == k->cap) {
    k->cap = k->cap ? k->cap * 2 : 8;
    k->events = xrealloc(k->events, k->cap * sizeof *k->events);
  }
  return k->events[k->count++] = channel_event(fields, key, k->newest, id);
}

// Another of the same, so that each is counted where it is held.
static struct event *copy_of(const struct event *e) {
  struct event *copy = event_new(NULL, e->len);
  copy->bare_at = e->bare_at, copy->epoch = e->epoch, copy->seq = e->seq, copy->key = e->key;
  memcpy(copy->bytes, e->bytes, e->len);
  return copy;
}

// Where the i-th event's forerunner is.
static struct position before(const struct kept *k, size_t i) {
  return i ? event_position(k->events[i - 1]) : k->first;
}

// The number of kept events up to a position; -1 where none is there, or what follows is forgotten.
static long find(const struct kept *k, struct position p) {
  for (size_t i = k->trimmed; i <= k->count; i++)
    if (position_equals(before(k, i), p)) return (long)i;
  return -1;
}

static enum admit_result admit(struct test_store *t, const struct kept *k, size_t i, struct channel *c) {
  struct event *e = copy_of(k->events[i]);
  enum admit_result result = channel_admit(c, e, before(k, i), clock_now(t->clock));
  event_unref(e);
  return result;
}

// What the channel has not got of what is kept, in order; where it has what is not kept any more, it begins
// anew.
static void catch_up(struct test_store *t, const struct kept *k, struct channel *c) {
  long i = find(k, channel_newest(c));
  if (i < 0) channel_break(c, k->newest);
  else
    for (; i < (long)k->count; i++) admit(t, k, (size_t)i, c);
}

static enum store_answer kept_append(struct test_store *t, struct kept *k, struct store_request *r) {
  if (k->is_finished) return STORE_ENDED;
  if (r->has_event) {
    keep(k, &r->fields, r->key);
    catch_up(t, k, r->channel); // others' come before
  }
  r->at = k->newest;
  if (r->what == STORE_FINISH) {
    k->is_finished = true;
    channel_finish(r->channel, NULL, clock_now(t->clock));
  }
  return STORE_OK;
}

static enum store_answer read_page(const struct kept *k, struct store_request *r) {
  size_t held = k->count - k->trimmed;
  long from = r->last ? (long)(k->count - (r->last < 0 ? held : MIN((size_t)r->last, held))) : find(k, r->at);
  r->is_gone = from < 0;
  size_t first = from < 0 ? k->trimmed : (size_t)from;
  r->count = MIN(k->count - first, (size_t)PAGE);
  r->events = xmalloc((r->count + 1) * sizeof *r->events);
  for (size_t i = 0; i < r->count; i++) r->events[i] = copy_of(k->events[first + i]);
  r->at = before(k, first + r->count);
  return STORE_OK;
}

// Who comes next finds nothing, and begins in another epoch.
static void forget(struct kept *k) {
  while (k->count) event_unref(k->events[--k->count]);
  k->trimmed = 0, k->is_finished = false;
  k->first = k->newest = (struct position){++k->epoch, 0};
}

static enum store_answer carry_out(struct test_store *t, struct store_request *r) {
  struct kept *k = kept_of(t, r->channel->name);
  channel_loaded(r->channel, k->newest);
  if (k->is_finished) channel_finish(r->channel, NULL, clock_now(t->clock));
  switch (r->what) {
  case STORE_APPEND:
  case STORE_FINISH: return kept_append(t, k, r);
  case STORE_READ:
    if (find(k, channel_newest(r->channel)) < 0) channel_break(r->channel, k->newest); // it has what is lost
    return read_page(k, r);
  case STORE_REMOVE: forget(k); return STORE_OK;
  default: return STORE_OK;
  }
}

static struct store_request *next_request(struct test_store *t) {
  lock_take(&t->lock);
  struct list *node = list_shift(&t->requests);
  lock_release(&t->lock);
  return node ? container_of(node, struct store_request, job.done.link) : NULL;
}

static void *run_thread(void *arg) {
  struct test_store *t = arg;
  for (bool is_over = false; !is_over;) {
    lock_take(&t->lock);
    while (list_empty(&t->requests) && !t->is_stopping) pthread_cond_wait(&t->asked, &t->lock);
    is_over = list_empty(&t->requests);
    lock_release(&t->lock);
    struct store_request *r = next_request(t);
    if (r) store_answer(r, carry_out(t, r));
  }
  return NULL;
}

static void stop_thread(struct test_store *t) {
  if (!t->has_thread) return;
  lock_take(&t->lock);
  t->is_stopping = true;
  pthread_cond_signal(&t->asked);
  lock_release(&t->lock);
  pthread_join(t->thread, NULL);
  t->has_thread = t->is_stopping = false;
}

void test_store_refuse(struct test_store *t) {
  stop_thread(t);
  for (struct store_request *r; (r = next_request(t));) store_answer(r, STORE_UNAVAILABLE);
}

size_t test_store_events(const struct test_store *t) {
  size_t n = 0;
  list_each (node, &t->kept) n += container_of(node, struct kept, link)->count;
  return n;
}

void test_store_deinit(struct test_store *t) {
  test_store_refuse(t);
  for (struct list *node; (node = list_shift(&t->kept));) {
    struct kept *k = container_of(node, struct kept, link);
    for (size_t i = 0; i < k->count; i++) event_unref(k->events[i]);
    free(k->events);
    free(k->name);
    free(k);
  }
  pthread_cond_destroy(&t->asked);
  lock_deinit(&t->lock);
  buf_deinit(&t->told);
  t->is_open = false;
}

static struct test_store *check_store(lua_State *L) {
  struct test_store *t = *(struct test_store **)luaL_checkudata(L, 1, STORE);
  luaL_argcheck(L, t->is_open, 1, "the server is closed");
  return t;
}

// The same, for what only one thread may do at a time.
static struct test_store *check_still(lua_State *L) {
  struct test_store *t = check_store(L);
  luaL_argcheck(L, !t->has_thread, 1, "its thread runs: finish it first");
  return t;
}

// store:asked(): what is not carried out yet, oldest first, as "append a".
static int store_asked(lua_State *L) {
  static const char *const what[] = {"open", "append", "finish", "read", "remove"};
  struct test_store *t = check_still(L);
  lua_Integer n = 0;
  lua_newtable(L);
  list_each (node, &t->requests) {
    const struct store_request *r = container_of(node, struct store_request, job.done.link);
    lua_pushfstring(L, "%s %s", what[r->what], r->channel->name);
    lua_rawseti(L, -2, ++n);
  }
  return 1;
}

// store:carry_out([n]): the oldest n requests, all without a number. How many.
static int store_carry_out(lua_State *L) {
  struct test_store *t = check_still(L);
  lua_Integer max = luaL_optinteger(L, 2, LUA_MAXINTEGER), n = 0;
  for (struct store_request *r; n < max && (r = next_request(t)); n++) store_answer(r, carry_out(t, r));
  lua_pushinteger(L, n);
  return 1;
}

// store:refuse(): all requests are answered: unavailable. Nothing is carried out.
static int store_refuse(lua_State *L) {
  test_store_refuse(check_still(L));
  return 0;
}

// store:begin(): a thread carries out what is asked; store:finish() ends it once nothing is left.
static int store_begin(lua_State *L) {
  struct test_store *t = check_store(L);
  if (!t->has_thread) t->has_thread = !pthread_create(&t->thread, NULL, run_thread, t);
  return 0;
}

static int store_finish(lua_State *L) {
  stop_thread(check_store(L));
  return 0;
}

// store:put(name, data): another node publishes: the id. It is kept and not admitted.
static int store_put(lua_State *L) {
  struct kept *k = kept_of(check_still(L), luaL_checkstring(L, 2));
  struct sse_fields f = SSE_NO_FIELDS;
  char id[CHANNEL_ID_MAX];
  f.data.bytes = luaL_checklstring(L, 3, &f.data.len);
  keep(k, &f, 0);
  lua_pushlstring(L, id, position_write(k->newest, id));
  return 1;
}

// store:kept(name): the ids of what is kept, in order, and how many of them are forgotten.
static int store_kept(lua_State *L) {
  const struct kept *k = kept_of(check_still(L), luaL_checkstring(L, 2));
  char id[CHANNEL_ID_MAX];
  lua_createtable(L, (int)k->count, 0);
  for (size_t i = 0; i < k->count; i++) {
    lua_pushlstring(L, id, position_write(event_position(k->events[i]), id));
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  lua_pushinteger(L, (lua_Integer)k->trimmed);
  return 2;
}

// store:begin_epoch(name [, lost]): as behind a failover, in which the newest so many events were lost.
static int store_begin_epoch(lua_State *L) {
  struct kept *k = kept_of(check_still(L), luaL_checkstring(L, 2));
  for (lua_Integer lost = luaL_optinteger(L, 3, 0); lost > 0 && k->count > k->trimmed; lost--)
    event_unref(k->events[--k->count]);
  k->newest = before(k, k->count);
  k->epoch++;
  return 0;
}

static struct channel *check_channel(lua_State *L, struct test_store *t) {
  struct channel *c = broker_find(t->broker, span_of(luaL_checkstring(L, 2)));
  luaL_argcheck(L, c, 2, "no such channel is open");
  return c;
}

// store:admit(name, i): the i-th event kept: "ok", "known" or "jump".
static int store_admit(lua_State *L) {
  static const char *const results[] = {"ok", "known", "jump"};
  struct test_store *t = check_still(L);
  struct kept *k = kept_of(t, luaL_checkstring(L, 2));
  size_t i = (size_t)luaL_checkinteger(L, 3) - 1;
  luaL_argcheck(L, i < k->count, 3, "no such event is kept");
  struct channel *c = check_channel(L, t);
  lua_pushstring(L, results[admit(t, k, i, c)]);
  channel_unref(c);
  return 1;
}

// store:hear(name): all that was published elsewhere, as from a connection that was lost meanwhile.
static int store_hear(lua_State *L) {
  struct test_store *t = check_still(L);
  struct channel *c = check_channel(L, t);
  catch_up(t, kept_of(t, c->name), c);
  channel_unref(c);
  return 0;
}

// store:give_up(name): what the channel has not got of what is kept, it will not get.
static int store_give_up(lua_State *L) {
  struct test_store *t = check_still(L);
  struct channel *c = check_channel(L, t);
  channel_break(c, kept_of(t, c->name)->newest);
  channel_unref(c);
  return 0;
}

// store:unload(name, linger): it keeps the channel up to date no more, if nobody has needed it for so many
// seconds: whether that is so.
static int store_unload(lua_State *L) {
  struct test_store *t = check_still(L);
  struct channel *c = check_channel(L, t);
  lua_pushboolean(L, channel_unload(c, luaL_checknumber(L, 3), clock_now(t->clock)));
  channel_unref(c);
  return 1;
}

// store:told(): what others that share it were told last, or "".
static int store_told(lua_State *L) {
  const struct test_store *t = check_still(L);
  lua_pushlstring(L, t->told.bytes, t->told.len);
  return 1;
}

// store:trim(name, n): the oldest n events are forgotten.
static int store_trim(lua_State *L) {
  struct kept *k = kept_of(check_still(L), luaL_checkstring(L, 2));
  k->trimmed = MIN(k->count, k->trimmed + (size_t)luaL_checkinteger(L, 3));
  return 0;
}

void test_store_push(lua_State *L, int owner, struct test_store *t) {
  struct test_store **box = lua_newuserdatauv(L, sizeof *box, 1);
  *box = t;
  luaL_setmetatable(L, STORE);
  lua_pushvalue(L, owner);
  lua_setiuservalue(L, -2, 1);
}

void test_store_open(lua_State *L) {
  static const luaL_Reg methods[] = {
      {"asked", store_asked}, {"carry_out", store_carry_out}, {"refuse", store_refuse},
      {"begin", store_begin}, {"finish", store_finish},       {"put", store_put},
      {"admit", store_admit}, {"give_up", store_give_up},     {"begin_epoch", store_begin_epoch},
      {"hear", store_hear},   {"unload", store_unload},       {"trim", store_trim},
      {"told", store_told},   {"kept", store_kept},           {NULL, NULL}};
  class_new(L, STORE, methods, NULL);
}
