// SPDX-License-Identifier: MIT
// The form belongs to the exchange, and goes with it: a file that a script holds is a number, which finds
// nothing any more once the request is over. So no descriptor waits for the collector.
#include "script/bindings.h"
#include <errno.h>
#include <lauxlib.h>
#include "http/query.h"
#include "script/exchange.h"
#include "script/lua_body.h"
#include "script/raise.h"
#include "script/vm.h"
#include "serve/form.h"

enum { READ_MAX = 1 << 20 };

// core.form_begin(req): true; nil where the Content-Type names no boundary.
static int form_begin(lua_State *L) {
  struct exchange *ex = exchange_open(L, 1);
  if (!ex) return 2;
  struct span type = request_field(ex->request, SPAN("content-type"));
  if (ex->form) return raise_error(L, "req:form: another task reads it already");
  ex->form = form_new(type, ex->vm->settings);
  if (!ex->form) return push_failure(L, "the form names no boundary");
  lua_pushboolean(L, true);
  return 1;
}

// Insufficient Storage (RFC 4918 11.5) where the disk is full, Service Unavailable where descriptors or
// memory are used up for now, else the server's own error.
static int status_of(int error) {
  switch (error) {
  case ENOSPC:
  case EDQUOT: return 507;
  case EMFILE:
  case ENFILE:
  case ENOMEM: return 503;
  default: return 500;
  }
}

// core.form_feed(req, bytes): true; nil and why it is no form, and the status where it could not be stored.
// Fields above limits.body are answered with 413.
static int form_feed_bytes(lua_State *L) {
  struct exchange *ex = exchange_open(L, 1);
  struct span bytes;
  bytes.bytes = luaL_checklstring(L, 2, &bytes.len);
  if (!ex) return 2;
  struct form *f = ex->form;
  if (form_feed(f, bytes)) return lua_pushboolean(L, true), 1;
  if (!f->is_large) {
    push_failure(L, f->error);
    if (!f->disk_errno) return 2;
    lua_pushinteger(L, status_of(f->disk_errno));
    return 3;
  }
  if (ex->stream->state == STREAM_WAITING) stream_refuse_body(ex->stream, TOO_LARGE);
  return body_refused(L, "req:form");
}

static void set_span(lua_State *L, const char *key, const char *bytes, size_t len) {
  lua_pushlstring(L, bytes, len);
  lua_setfield(L, -2, key);
}

// With the part as a table on top: name and value, or name, filename, type, size and index.
static void push_part(lua_State *L, const struct form_part *part, size_t index) {
  lua_createtable(L, 0, 5);
  set_span(L, "name", part->name, part->name_len);
  if (!part->is_file) {
    set_span(L, "value", part->bytes.size ? part->bytes.memory.bytes : "", (size_t)part->bytes.size);
    return;
  }
  set_span(L, "filename", part->filename ? part->filename : "", part->filename_len);
  lua_pushstring(L, part->type ? part->type : "application/octet-stream");
  lua_setfield(L, -2, "type");
  lua_pushinteger(L, (lua_Integer)part->bytes.size);
  lua_setfield(L, -2, "size");
  lua_pushinteger(L, (lua_Integer)index);
  lua_setfield(L, -2, "index");
}

// core.form_end(req): the list of parts; nil and why it is no form.
static int form_end_parts(lua_State *L) {
  struct exchange *ex = exchange_open(L, 1);
  if (!ex) return 2;
  if (!form_end(ex->form)) return push_failure(L, ex->form->error);
  lua_createtable(L, (int)ex->form->part_count, 0);
  for (size_t i = 0; i < ex->form->part_count; i++) {
    push_part(L, &ex->form->parts[i], i);
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  return 1;
}

// core.form_read(req, index, at, len): bytes of a file, nil at its end; nil and why.
static int form_read(lua_State *L) {
  struct exchange *ex = exchange_check(L, 1);
  lua_Integer index = luaL_checkinteger(L, 2), at = luaL_checkinteger(L, 3), len = luaL_checkinteger(L, 4);
  if (!ex || !ex->form) return push_failure(L, "closed");
  luaL_argcheck(L, index >= 0 && (size_t)index < ex->form->part_count, 2, "no such part");
  luaL_argcheck(L, at >= 0, 3, "0 or more");
  luaL_argcheck(L, len > 0 && len <= READ_MAX, 4, "1 to 1 MiB");
  luaL_Buffer b;
  char *out = luaL_buffinitsize(L, &b, (size_t)len);
  ssize_t n = spool_read(&ex->form->parts[index].bytes, (uint64_t)at, out, (size_t)len);
  if (n < 0) return push_failure(L, strerror(errno));
  luaL_pushresultsize(&b, (size_t)n);
  if (!n) lua_pushnil(L);
  return 1;
}

static void push_unescaped(lua_State *L, struct span in) {
  luaL_Buffer b;
  char *out = luaL_buffinitsize(L, &b, in.len);
  luaL_pushresultsize(&b, percent_decode_some(in, true, out));
}

// core.form_decode(text): the pairs of an application/x-www-form-urlencoded body (WHATWG URL 5.1) as a list
// of parts; nil where there are more than limits.query_pairs.
static int form_decode(lua_State *L) {
  struct span text, name, value;
  size_t max = vm_of(L)->settings->limits.query_pairs, count = 0;
  text.bytes = luaL_checklstring(L, 1, &text.len);
  lua_newtable(L);
  while (query_next(&text, &name, &value)) {
    if (++count > max) return push_failure(L, "too many fields");
    lua_createtable(L, 0, 2);
    push_unescaped(L, name);
    lua_setfield(L, -2, "name");
    push_unescaped(L, value);
    lua_setfield(L, -2, "value");
    lua_rawseti(L, -2, (lua_Integer)count);
  }
  return 1;
}

void form_open(lua_State *L) {
  static const luaL_Reg functions[] = {{"form_begin", form_begin},   {"form_feed", form_feed_bytes},
                                       {"form_end", form_end_parts}, {"form_read", form_read},
                                       {"form_decode", form_decode}, {NULL, NULL}};
  luaL_setfuncs(L, functions, 0);
}
