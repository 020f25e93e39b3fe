// SPDX-License-Identifier: MIT
// Nothing here enters Lua or allocates in it: where a coroutine waits is read off its stack. Tasks are many
// and places few, so what is told is how many wait at each; and a look at all of many tasks would hold the
// worker up.
#include "script/worker_list.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "base/escape.h"
#include "base/mem.h"
#include "script/exchange.h"
#include "script/generations.h"
#include "script/raise.h"
#include "script/task.h"
#include "script/ticker.h"
#include "script/vm.h"
#include "serve/connections.h"
#include "serve/routes.h"
#include "serve/stream.h"

enum { GENERATIONS_MAX = 32, PLACES_MAX = 200, LOOKED_MAX = 2000, WHERE_MAX = LUA_IDSIZE + 16 };

struct generation_row {
  unsigned number;
  size_t streams;
  const struct vm *vm; // NULL: its state is closed, its streams go on without
};

struct generation_rows {
  struct generation_row list[GENERATIONS_MAX];
  size_t count;
};

static struct generation_row *row_of(struct generation_rows *g, unsigned number) {
  for (size_t i = 0; i < g->count; i++)
    if (g->list[i].number == number) return &g->list[i];
  if (g->count == GENERATIONS_MAX) return NULL;
  g->list[g->count].number = number;
  return &g->list[g->count++];
}

static void count_stream(struct stream *s, void *arg) {
  if (s->state != STREAM_OPEN) return;
  struct generation_row *row = row_of(arg, s->generation);
  if (row) row->streams++;
}

static void write_generation(struct buf *out, const struct generation_row *r, const struct generations *g) {
  uint64_t tasks = r->vm ? r->vm->gauges.tasks : 0, bytes = r->vm ? r->vm->gauges.lua_bytes : 0;
  buf_printf(out, "{\"number\":%u,\"streams\":%zu,\"tasks\":%" PRIu64 ",\"lua_bytes\":%" PRIu64, r->number,
             r->streams, tasks, bytes);
  buf_printf(out, ",\"requests\":%zu,\"is_served\":%s}", r->vm ? r->vm->exchange_count : 0,
             r->vm && r->vm == g->current ? "true" : "false");
}

static void write_generations(struct buf *out, struct service *s) {
  struct generation_rows rows = {0};
  list_each (node, &s->generations->vms) {
    const struct vm *vm = container_of(node, struct vm, link);
    struct generation_row *row = row_of(&rows, vm->generation);
    if (row) row->vm = vm;
  }
  connections_each_stream(s, count_stream, &rows);
  for (size_t i = 0; i < rows.count; i++) {
    if (i) buf_append_byte(out, ',');
    write_generation(out, &rows.list[i], s->generations);
  }
}

static double thread_cpu(void) {
  struct timespec t = {0};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

void worker_list(struct service *s, struct span about, struct buf *out) {
  const struct counters *c = &s->counters;
  (void)about;
  buf_printf(out, "{\"cpu\":%.6f,\"turns\":%lu,\"connections\":%" PRIu64 ",\"streams\":%" PRIu64,
             thread_cpu(), atomic_load(&s->loop->turn) / 2, c->connections_open, c->streams_open);
  buf_printf(out, ",\"requests\":%" PRIu64 ",\"events\":%" PRIu64 ",\"bytes\":%" PRIu64, c->requests_total,
             c->events_total, c->bytes_total);
  buf_printf(out,
             ",\"slow\":%" PRIu64 ",\"dropped\":%" PRIu64 ",\"long_turns\":%" PRIu64 ",\"generations\":[",
             c->slow_total, c->dropped_total, c->long_turns_total);
  write_generations(out, s);
  buf_append_span(out, SPAN("]}\n"));
}

struct place {
  char where[WHERE_MAX];
  const char *kind, *state;
  unsigned generation;
  uint16_t route; // of requests
  const struct service *service;
  size_t count;
};

struct places {
  struct place list[PLACES_MAX];
  size_t count, looked, tasks;
};

static const char *kind_of(const struct task *t) {
  if (t->exchange) return "request";
  if (t->is_starter) return "on_start";
  if (t->is_stopper) return "on_stop";
  if (t->fn_ref != LUA_NOREF) return "tick";
  return t->of_app ? "application" : "spawned";
}

static const char *state_of(const struct task *t) {
  static const char *const names[] = {
      [TASK_READY] = "ready", [TASK_RUNNING] = "running", [TASK_WAITING] = "waiting"};
  return names[t->state];
}

// Takes what is on top: a place as a text, or a function, which begins there.
static bool copy_place(lua_State *L, char where[WHERE_MAX]) {
  lua_Debug ar = {0};
  *where = 0;
  if (lua_isfunction(L, -1)) {
    lua_pushvalue(L, -1);
    lua_getinfo(L, ">S", &ar);
    if (ar.linedefined > 0) snprintf(where, WHERE_MAX, "%s:%d", ar.short_src, ar.linedefined);
  } else if (lua_type(L, -1) == LUA_TSTRING) snprintf(where, WHERE_MAX, "%s", lua_tostring(L, -1));
  lua_pop(L, 1);
  return *where;
}

// The function of a tick is called again at a deadline: that, or what it makes its values by.
static bool find_tick(const struct task *t, char where[WHERE_MAX]) {
  lua_State *L = t->vm->L;
  if (t->fn_ref == LUA_NOREF) return false;
  lua_rawgeti(L, LUA_REGISTRYINDEX, t->fn_ref);
  bool is_ticker = ticker_push_source(L, -1) != LUA_TNONE;
  bool found = copy_place(L, where);
  if (is_ticker) lua_pop(L, 1);
  return found;
}

// Where a request's route was given its handler.
static bool find_route(const struct task *t, char where[WHERE_MAX]) {
  lua_State *L = t->vm->L;
  const struct exchange *ex = t->exchange;
  if (!ex || ex->route <= 0 || t->vm->places_ref == LUA_NOREF) return false;
  lua_rawgeti(L, LUA_REGISTRYINDEX, t->vm->places_ref);
  lua_rawgeti(L, -1, ex->route);
  bool found = copy_place(L, where);
  lua_pop(L, 1);
  return found;
}

// Where the user's function waits; else where the stream was made that the library waits for.
static void find_place(const struct task *t, char where[WHERE_MAX]) {
  lua_Debug ar;
  lua_State *co = t->wrap ? t->wrap->co : t->co;
  if (co && user_position(co, &ar)) snprintf(where, WHERE_MAX, "%s:%d", ar.short_src, ar.currentline);
  else if (!find_tick(t, where) && !find_route(t, where)) strcpy(where, "");
}

static struct place place_of(const struct task *t) {
  struct place p = {.kind = kind_of(t),
                    .state = state_of(t),
                    .generation = t->vm->generation,
                    .service = t->vm->service,
                    .count = 1};
  if (t->exchange && t->exchange->request) p.route = t->exchange->request->route;
  find_place(t, p.where);
  return p;
}

static bool is_same_place(const struct place *a, const struct place *b) {
  return a->kind == b->kind && a->state == b->state && a->generation == b->generation &&
         a->route == b->route && !strcmp(a->where, b->where);
}

static void add_place(struct places *p, const struct task *t) {
  const struct place new = place_of(t);
  for (size_t i = 0; i < p->count; i++) {
    if (!is_same_place(&p->list[i], &new)) continue;
    p->list[i].count++;
    return;
  }
  if (p->count < PLACES_MAX) p->list[p->count++] = new;
}

static void write_place(struct buf *out, const struct place *p) {
  buf_append_span(out, SPAN("{\"where\":\""));
  escape_quoted(out, span_of(p->where), true);
  buf_append_span(out, SPAN("\",\"route\":\""));
  escape_quoted(out, span_of(routes_name(&p->service->process->metrics, p->route)), true);
  buf_printf(out, "\",\"kind\":\"%s\",\"state\":\"%s\",\"generation\":%u,\"count\":%zu}\n", p->kind, p->state,
             p->generation, p->count);
}

static void look_at_tasks(struct places *p, const struct vm *vm) {
  size_t looked = 0;
  p->tasks += vm->gauges.tasks;
  list_each (node, &vm->tasks) {
    if (looked++ == LOOKED_MAX) break;
    add_place(p, container_of(node, struct task, all_link));
    p->looked++;
  }
}

void task_list(struct service *s, struct span about, struct buf *out) {
  struct places *p = xcalloc(1, sizeof *p);
  (void)about;
  list_each (node, &s->generations->vms) look_at_tasks(p, container_of(node, struct vm, link));
  buf_printf(out, "{\"tasks\":%zu,\"looked\":%zu}\n", p->tasks, p->looked);
  for (size_t i = 0; i < p->count; i++) write_place(out, &p->list[i]);
  free(p);
}
