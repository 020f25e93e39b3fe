// SPDX-License-Identifier: MIT
// spate.test hands over what a stub answers as plain values, which are copied; what was asked is made into
// tables when a spec looks.
#include "harness/stubs.h"
#include <stdlib.h>
#include "base/mem.h"
#include "script/class.h"

static const char STUBS[] = "spate.harness.stubs";

static void put_text(struct buf *b, struct span s) {
  buf_append(b, &s.len, sizeof s.len);
  buf_append_span(b, s);
}

bool stub_text_next(struct span *rest, struct span *text) {
  if (rest->len < sizeof text->len) return false;
  memcpy(&text->len, rest->bytes, sizeof text->len);
  text->bytes = rest->bytes + sizeof text->len;
  rest->bytes = text->bytes + text->len, rest->len -= sizeof text->len + text->len;
  return true;
}

static void request_free_stubbed(struct stub_request *r) {
  buf_deinit(&r->method);
  buf_deinit(&r->url);
  buf_deinit(&r->fields);
  buf_deinit(&r->body);
  free(r);
}

void stub_unref(struct stub *s) {
  if (--s->refs) return;
  for (struct list *node; (node = list_shift(&s->requests));)
    request_free_stubbed(container_of(node, struct stub_request, link));
  for (size_t i = 0; i < s->answer_count; i++) {
    buf_deinit(&s->answers[i].lines);
    buf_deinit(&s->answers[i].bytes);
    free(s->answers[i].pieces);
  }
  free(s->answers);
  free(s->method);
  free(s->url);
  free(s);
}

struct stubs *stubs_check(lua_State *L, int index) {
  return luaL_checkudata(L, index, STUBS);
}

static struct stub *stub_at(lua_State *L) { // of the number at 2, from 1: the oldest
  struct stubs *s = stubs_check(L, 1);
  lua_Integer n = luaL_checkinteger(L, 2);
  for (struct list *node = s->list.prev; node != &s->list; node = node->prev)
    if (!--n) return container_of(node, struct stub, link);
  luaL_argerror(L, 2, "no such stub");
  return NULL;
}

static size_t stub_count(const struct stubs *s) {
  size_t n = 0;
  for (struct list *node = s->list.next; node != &s->list; node = node->next) n++;
  return n;
}

static void drop_newest(struct stubs *s) {
  stub_unref(container_of(list_shift(&s->list), struct stub, link));
}

static struct span text_at(lua_State *L, int index) {
  struct span s;
  s.bytes = luaL_checklstring(L, index, &s.len);
  return s;
}

static double number_of(lua_State *L, int table, const char *name) {
  lua_getfield(L, table, name);
  double n = lua_tonumber(L, -1);
  lua_pop(L, 1);
  return n;
}

// The list of texts at `name`, into `lines`.
static void read_lines(lua_State *L, int table, struct buf *lines) {
  if (lua_getfield(L, table, "lines") == LUA_TTABLE)
    for (lua_Integer i = 1; lua_rawgeti(L, -1, i) == LUA_TSTRING; i++, lua_pop(L, 1))
      put_text(lines, text_at(L, -1));
  lua_settop(L, table);
}

// { seconds, bytes, seconds, bytes ... }
static void read_pieces(lua_State *L, int table, struct stub_answer *a) {
  if (lua_getfield(L, table, "pieces") != LUA_TTABLE) return;
  a->piece_count = lua_rawlen(L, -1) / 2;
  a->pieces = xcalloc(a->piece_count + 1, sizeof *a->pieces);
  for (size_t i = 0; i < a->piece_count; i++) {
    lua_rawgeti(L, table + 1, (lua_Integer)i * 2 + 1);
    lua_rawgeti(L, table + 1, (lua_Integer)i * 2 + 2);
    a->pieces[i].after = lua_tonumber(L, -2);
    a->pieces[i].bytes.bytes = lua_tolstring(L, -1, &a->pieces[i].bytes.len);
    buf_append_span(&a->bytes, a->pieces[i].bytes);
    lua_pop(L, 2);
  }
  const char *at = a->bytes.bytes;
  for (size_t i = 0; i < a->piece_count; at += a->pieces[i++].bytes.len) a->pieces[i].bytes.bytes = at;
  lua_settop(L, table);
}

static enum fetch_error error_of(const char *name) {
  for (int e = FETCH_TIMEOUT; e <= FETCH_BUSY; e++)
    if (!strcmp(name, fetch_error_name((enum fetch_error)e))) return (enum fetch_error)e;
  return FETCH_OK;
}

static void read_answer(lua_State *L, int table, struct stub_answer *a) {
  a->after = number_of(L, table, "after");
  read_lines(L, table, &a->lines);
  read_pieces(L, table, a);
  lua_getfield(L, table, "error");
  if (lua_isstring(L, -1)) a->error = error_of(lua_tostring(L, -1));
  lua_getfield(L, table, "open");
  a->stays_open = lua_toboolean(L, -1);
  lua_settop(L, table);
}

// stubs:add(method, url, answers): its number. Each answer has after, lines, pieces, error, open.
static int add_stub(lua_State *L) {
  struct stubs *stubs = stubs_check(L, 1);
  const char *method = luaL_checkstring(L, 2), *url = luaL_checkstring(L, 3);
  luaL_checktype(L, 4, LUA_TTABLE);
  struct stub *s = xcalloc(1, sizeof *s);
  s->refs = 1, s->method = xstrdup(method), s->url = xstrdup(url);
  s->answer_count = lua_rawlen(L, 4), s->answers = xcalloc(s->answer_count + 1, sizeof *s->answers);
  list_init(&s->requests);
  list_init(&s->link);
  list_append(stubs->list.next, &s->link); // before the newest
  for (size_t i = 0; i < s->answer_count; i++) {
    lua_rawgeti(L, 4, (lua_Integer)i + 1);
    read_answer(L, 5, &s->answers[i]);
    lua_settop(L, 4);
  }
  lua_pushinteger(L, (lua_Integer)stub_count(stubs));
  return 1;
}

static bool is_for(const struct stub *s, const struct fetch_request *r) {
  return span_equal(span_of(s->method), r->method) && span_equal(span_of(s->url), r->url);
}

struct stub *stubs_find(struct stubs *stubs, const struct fetch_request *r) {
  for (struct list *node = stubs->list.next; node != &stubs->list; node = node->next) {
    struct stub *s = container_of(node, struct stub, link);
    if (!is_for(s, r)) continue;
    s->refs++;
    return s;
  }
  buf_printf(&stubs->missed, SPAN_FMT " " SPAN_FMT "\n", SPAN_ARG(r->method), SPAN_ARG(r->url));
  return NULL;
}

struct stub_request *stub_ask(struct stub *s, const struct fetch_request *r,
                              const struct stub_answer **answer) {
  struct stub_request *q = xcalloc(1, sizeof *q);
  buf_append_span(&q->method, r->method);
  buf_append_span(&q->url, r->url);
  buf_append_span(&q->body, r->body);
  for (size_t i = 0; i < r->field_count; i++)
    put_text(&q->fields, r->fields[i].name), put_text(&q->fields, r->fields[i].value);
  list_init(&q->link);
  list_append(&s->requests, &q->link);
  *answer = &s->answers[MIN(s->request_count, s->answer_count - 1)];
  s->request_count++;
  return q;
}

static void set_span(lua_State *L, const char *name, const struct buf *b) {
  push_span(L, buf_span(b));
  lua_setfield(L, -2, name);
}

static void push_request(lua_State *L, const struct stub_request *q) {
  struct span rest = buf_span(&q->fields), text;
  lua_newtable(L);
  set_span(L, "method", &q->method);
  set_span(L, "url", &q->url);
  set_span(L, "body", &q->body);
  lua_pushboolean(L, q->is_closed);
  lua_setfield(L, -2, "closed");
  lua_newtable(L);
  for (lua_Integer i = 1; stub_text_next(&rest, &text); i++) {
    lua_pushlstring(L, text.bytes, text.len);
    lua_rawseti(L, -2, i);
  }
  lua_setfield(L, -2, "fields");
}

// stubs:requests(number): what was asked, oldest first: { method, url, body, fields, closed }.
static int list_requests(lua_State *L) {
  struct stub *s = stub_at(L);
  lua_Integer n = 0;
  lua_newtable(L);
  list_each (node, &s->requests) {
    push_request(L, container_of(node, struct stub_request, link));
    lua_rawseti(L, -2, ++n);
  }
  return 1;
}

// stubs:keep(n): drops all but the n oldest; what was asked of none since the last time, a line each.
static int keep_stubs(lua_State *L) {
  struct stubs *s = stubs_check(L, 1);
  size_t n = (size_t)luaL_checkinteger(L, 2);
  while (stub_count(s) > n) drop_newest(s);
  push_span(L, buf_span(&s->missed));
  buf_reset(&s->missed, 0);
  return 1;
}

static int count_stubs(lua_State *L) {
  lua_pushinteger(L, (lua_Integer)stub_count(stubs_check(L, 1)));
  return 1;
}

static int collect_stubs(lua_State *L) {
  struct stubs *s = stubs_check(L, 1);
  while (!list_empty(&s->list)) drop_newest(s);
  buf_deinit(&s->missed);
  return 0;
}

// harness.stubs(): a list without stubs.
static int stubs_push(lua_State *L) {
  struct stubs *s = lua_newuserdatauv(L, sizeof *s, 0);
  *s = (struct stubs){0};
  list_init(&s->list);
  luaL_setmetatable(L, STUBS);
  return 1;
}

void stubs_open(lua_State *L) {
  static const luaL_Reg methods[] = {{"add", add_stub},
                                     {"requests", list_requests},
                                     {"keep", keep_stubs},
                                     {"count", count_stubs},
                                     {NULL, NULL}};
  class_new(L, STUBS, methods, collect_stubs);
  lua_pushcfunction(L, stubs_push);
  lua_setfield(L, -2, "stubs");
}
