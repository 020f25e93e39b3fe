// SPDX-License-Identifier: MIT
// The file of a store for the command line, while no server has it: what is in it, row by row. It is closed
// with its handle.
#include "script/lua_store.h"
#include <lauxlib.h>
#include <math.h>
#include <stdlib.h>
#include <time.h>
#include "base/buf.h"
#include "script/class.h"
#include "script/lua_event.h"
#include "store/sqlite_channel.h"
#include "store/sqlite_values.h"

enum { AT_ONCE = 256 };
static const char META[] = "spate.store_file";

struct store_file {
  struct sqlite_db db;
  struct sqlite_channel *channel; // that is imported; NULL: none
};

static struct store_file *check_file(lua_State *L) {
  struct store_file *f = luaL_checkudata(L, 1, META);
  luaL_argcheck(L, f->db.handle, 1, "the file is closed");
  return f;
}

static double wall_now(void) { return (double)time(NULL); }

static void let_go(struct store_file *f) {
  if (f->channel) sqlite_channel_free(f->channel);
  f->channel = NULL;
}

static int file_close(lua_State *L) {
  struct store_file *f = luaL_checkudata(L, 1, META);
  let_go(f);
  sqlite_db_close(&f->db, true);
  return 0;
}

// file:discard(): closes it, and removes it where this handle has made it.
static int file_discard(lua_State *L) {
  struct store_file *f = check_file(L);
  let_go(f);
  sqlite_db_discard(&f->db);
  return 0;
}

// native.store_file(path): its handle; nil and why it cannot be used. A file that is missing is made.
static int open_file(lua_State *L) {
  const char *path = luaL_checkstring(L, 1);
  struct store_file *f = lua_newuserdatauv(L, sizeof *f, 0);
  char *why = NULL;
  *f = (struct store_file){0};
  luaL_setmetatable(L, META);
  struct sqlite_run run = {.wall = wall_now()};
  if (sqlite_db_open(&f->db, path, &run, &why) == FAULT_NONE) return 1;
  lua_pushnil(L);
  lua_pushstring(L, why);
  free(why);
  return 2;
}

// What is returned of a step: true, or nil and what SQLite says, and the step has not happened.
static int push_outcome(lua_State *L, struct store_file *f) {
  if (!f->db.rc) {
    lua_pushboolean(L, 1);
    return 1;
  }
  lua_pushnil(L);
  lua_pushstring(L, sqlite_db_message(&f->db));
  sqlite_db_rollback(&f->db);
  return 2;
}

static void push_value(lua_State *L, struct shared_value v) {
  switch (v.type) {
  case SHARED_STRING: lua_pushlstring(L, v.string.bytes, v.string.len); break;
  case SHARED_INTEGER: lua_pushinteger(L, v.integer); break;
  case SHARED_FLOAT: lua_pushnumber(L, v.number); break;
  default: lua_pushboolean(L, v.type == SHARED_BOOLEAN && v.boolean); break;
  }
}

static void set_count(lua_State *L, struct store_file *f, enum sqlite_statement which,
                      const char *const *names) {
  sqlite_db_bind(&f->db, which, "");
  if (!sqlite_db_row(&f->db, which)) return;
  for (int i = 0; names[i]; i++) {
    if (sqlite_db_is_null(&f->db, which, i)) continue;
    lua_pushinteger(L, sqlite_db_int(&f->db, which, i));
    lua_setfield(L, -2, names[i]);
  }
  sqlite_db_end(&f->db, which);
}

// file:info(): { channels =, events =, bytes = of them, oldest =, newest = in ms since 1970, values = }
static int file_info(lua_State *L) {
  struct store_file *f = check_file(L);
  lua_newtable(L);
  set_count(L, f, DB_COUNT_CHANNELS, (const char *const[]){"channels", NULL});
  set_count(L, f, DB_COUNT_EVENTS, (const char *const[]){"events", "bytes", "oldest", "newest", NULL});
  set_count(L, f, DB_COUNT_VALUES, (const char *const[]){"values", NULL});
  lua_pushboolean(L, f->db.was_clean);
  lua_setfield(L, -2, "clean");
  return f->db.rc ? push_outcome(L, f) : 1;
}

// Pushes the present row of DB_CHANNEL_FIND.
static void push_channel(lua_State *L, struct store_file *f, struct span name) {
  static const char *const names[] = {"c", NULL, "finished", "history", "bytes", "ttl"};
  lua_createtable(L, 0, 6);
  lua_pushlstring(L, name.bytes, name.len);
  lua_setfield(L, -2, "name");
  for (int i = 0; i < (int)countof(names); i++) {
    if (!names[i]) continue;
    if (i == 5) lua_pushnumber(L, sqlite_db_double(&f->db, DB_CHANNEL_FIND, i));
    else lua_pushinteger(L, sqlite_db_int(&f->db, DB_CHANNEL_FIND, i));
    lua_setfield(L, -2, names[i]);
  }
  sqlite_db_end(&f->db, DB_CHANNEL_FIND);
}

// The name of the next channel behind c that was not removed; false where there is none.
static bool next_name(struct store_file *f, int64_t c, struct buf *name) {
  while (!name->len) {
    sqlite_db_bind(&f->db, DB_CHANNEL_NEXT, "i", c);
    if (!sqlite_db_row(&f->db, DB_CHANNEL_NEXT)) return false;
    c = sqlite_db_int(&f->db, DB_CHANNEL_NEXT, 0);
    buf_append_span(name, sqlite_db_bytes(&f->db, DB_CHANNEL_NEXT, 1));
    sqlite_db_end(&f->db, DB_CHANNEL_NEXT);
  }
  return true;
}

// file:channel(c): the next one behind it, as { c =, name =, history =, bytes =, ttl =, finished = }; nil
// behind the last.
static int file_channel(lua_State *L) {
  struct store_file *f = check_file(L);
  struct buf *name = push_buf(L);
  int64_t c = luaL_checkinteger(L, 2);
  if (!next_name(f, c, name)) return f->db.rc ? push_outcome(L, f) : 0;
  sqlite_db_bind(&f->db, DB_CHANNEL_FIND, "t", buf_span(name));
  if (!sqlite_db_row(&f->db, DB_CHANNEL_FIND)) return push_outcome(L, f);
  push_channel(L, f, buf_span(name));
  buf_deinit(name);
  return 1;
}

// Pushes what a row is: an event as a table, with `at` in ms since 1970, and `key` where it has one of its
// own.
static void push_row(lua_State *L, struct store_file *f) {
  struct span text = sqlite_db_bytes(&f->db, DB_EVENTS, 2);
  text.bytes = lua_pushlstring(L, text.bytes, text.len);
  event_push(L, text);
  lua_pushinteger(L, sqlite_db_int(&f->db, DB_EVENTS, 3));
  lua_setfield(L, -2, "at");
  if (!sqlite_db_is_null(&f->db, DB_EVENTS, 1)) {
    lua_pushinteger(L, sqlite_db_int(&f->db, DB_EVENTS, 1));
    lua_setfield(L, -2, "key");
  }
  lua_remove(L, -2);
}

// The number of the n-th newest event; 0 where there are fewer.
static int64_t number_from_end(struct store_file *f, int64_t c, int64_t n) {
  int64_t first = sqlite_channel_key(c, 0), number = 0;
  sqlite_db_bind(&f->db, DB_EVENT_FROM_END, "iii", first, sqlite_channel_key(c, UINT64_MAX), n - 1);
  if (!sqlite_db_row(&f->db, DB_EVENT_FROM_END)) return 0;
  number = sqlite_db_int(&f->db, DB_EVENT_FROM_END, 0) - first;
  sqlite_db_end(&f->db, DB_EVENT_FROM_END);
  return number;
}

// file:events(c, number): some of a channel's events from that number on, and the number to go on with; nil
// behind the last. The newest n: file:events(c, -n).
static int file_events(lua_State *L) {
  struct store_file *f = check_file(L);
  int64_t c = luaL_checkinteger(L, 2), from = luaL_checkinteger(L, 3), last = 0;
  lua_Integer n = 0;
  lua_newtable(L);
  if (from < 0) from = number_from_end(f, c, -from);
  sqlite_db_bind(&f->db, DB_EVENTS, "ii", sqlite_channel_key(c, (uint64_t)from),
                 sqlite_channel_key(c, UINT64_MAX));
  for (; n < AT_ONCE && sqlite_db_row(&f->db, DB_EVENTS); n++) {
    last = sqlite_db_int(&f->db, DB_EVENTS, 0) - sqlite_channel_key(c, 0);
    push_row(L, f);
    lua_rawseti(L, -2, n + 1);
  }
  sqlite_db_end(&f->db, DB_EVENTS);
  if (f->db.rc) return push_outcome(L, f);
  if (!n) return 0;
  lua_pushinteger(L, last + 1);
  return 2;
}

// file:begin() and file:commit(): true, or nil and why not.
static int file_begin(lua_State *L) {
  struct store_file *f = check_file(L);
  sqlite_db_begin(&f->db);
  return push_outcome(L, f);
}

static int file_commit(lua_State *L) {
  struct store_file *f = check_file(L);
  sqlite_db_commit(&f->db);
  return push_outcome(L, f);
}

static bool take_channel(struct store_file *f, struct span name) {
  if (f->channel && span_equal(f->channel->node.name, name)) return true;
  let_go(f);
  f->channel = sqlite_channel_load(&f->db, name, wall_now());
  return f->channel;
}

static int refuse(lua_State *L, const char *why) {
  lua_pushnil(L);
  lua_pushstring(L, why);
  return 2;
}

// file:put(channel, event, id, at [, key]): keeps an event as it was. True, or nil and why not.
static int file_put(lua_State *L) {
  struct store_file *f = check_file(L);
  struct span name, id_text;
  struct position at;
  struct sse_fields fields;
  char digits[NUMBER_MAX], id[CHANNEL_ID_MAX];
  name.bytes = luaL_checklstring(L, 2, &name.len);
  id_text.bytes = luaL_checklstring(L, 4, &id_text.len);
  double ms = luaL_checknumber(L, 5);
  uint64_t key = (uint64_t)luaL_optinteger(L, 6, 0);
  lua_settop(L, 6);
  if (!position_read(id_text, &at) || !at.seq || !name.len || name.len > CHANNEL_NAME_MAX)
    return refuse(L, "no id of spate's, or no channel's name");
  event_fields(L, 3, &fields, digits);
  if (!take_channel(f, name)) return push_outcome(L, f);
  if (lua_isnil(L, 6)) key = hash_bytes(fields.event.bytes ? fields.event : SPAN(""), 0);
  if (f->channel->c && !position_is_after(at, sqlite_channel_newest(f->channel)))
    return refuse(L, "the channel is there already, and further on: import into another file");
  struct event *e = channel_event(&fields, key, at, id);
  sqlite_channel_put(&f->db, f->channel, e, ms / 1e3);
  event_unref(e);
  return push_outcome(L, f);
}

// file:put_channel(name, history, bytes, ttl, finished): what else there is of one whose events are there.
static int file_put_channel(lua_State *L) {
  struct store_file *f = check_file(L);
  struct span name;
  name.bytes = luaL_checklstring(L, 2, &name.len);
  const struct sqlite_limits limits = {(uint64_t)luaL_checknumber(L, 3), (uint64_t)luaL_checknumber(L, 4),
                                       luaL_checknumber(L, 5)};
  if (!take_channel(f, name)) return push_outcome(L, f);
  sqlite_channel_limit(&f->db, f->channel, &limits);
  if (lua_toboolean(L, 6)) sqlite_channel_finish(&f->db, f->channel);
  return push_outcome(L, f);
}

// file:values(): all values of dictionaries, as { dictionary =, key =, value =, expires = in seconds since
// 1970 }.
static int file_values(lua_State *L) {
  struct store_file *f = check_file(L);
  static const char *const names[] = {"dictionary", "key"};
  lua_newtable(L);
  sqlite_db_bind(&f->db, DB_VALUES, "");
  for (lua_Integer n = 1; sqlite_db_row(&f->db, DB_VALUES); n++) {
    lua_createtable(L, 0, 4);
    for (int i = 0; i < (int)countof(names); i++) {
      struct span text = sqlite_db_bytes(&f->db, DB_VALUES, i);
      lua_pushlstring(L, text.bytes, text.len);
      lua_setfield(L, -2, names[i]);
    }
    if (!sqlite_db_is_null(&f->db, DB_VALUES, 3)) {
      lua_pushnumber(L, sqlite_db_double(&f->db, DB_VALUES, 3));
      lua_setfield(L, -2, "expires");
    }
    push_value(L, sqlite_values_row(&f->db));
    lua_setfield(L, -2, "value");
    lua_rawseti(L, -2, n);
  }
  return f->db.rc ? push_outcome(L, f) : 1;
}

static struct shared_value check_value(lua_State *L, int index) {
  struct shared_value v = {.type = SHARED_STRING};
  if (lua_isboolean(L, index))
    return (struct shared_value){.type = SHARED_BOOLEAN, .boolean = lua_toboolean(L, index)};
  if (lua_isinteger(L, index))
    return (struct shared_value){.type = SHARED_INTEGER, .integer = lua_tointeger(L, index)};
  if (lua_type(L, index) == LUA_TNUMBER)
    return (struct shared_value){.type = SHARED_FLOAT, .number = lua_tonumber(L, index)};
  v.string.bytes = luaL_checklstring(L, index, &v.string.len);
  return v;
}

// file:put_value(dictionary, key, value [, expires])
static int file_put_value(lua_State *L) {
  struct store_file *f = check_file(L);
  struct span name, key;
  name.bytes = luaL_checklstring(L, 2, &name.len);
  key.bytes = luaL_checklstring(L, 3, &key.len);
  const struct shared_value v = check_value(L, 4);
  sqlite_values_put(&f->db, name, key, &v, luaL_optnumber(L, 5, (lua_Number)INFINITY));
  return push_outcome(L, f);
}

// file:vacuum(): true, or nil and why not.
static int file_vacuum(lua_State *L) {
  struct store_file *f = check_file(L);
  const char *why = sqlite_db_execute(&f->db, "vacuum");
  if (why) return refuse(L, why);
  sqlite_db_checkpoint(&f->db, true);
  return push_outcome(L, f);
}

void lua_store_open(lua_State *L) {
  static const luaL_Reg methods[] = {{"info", file_info},
                                     {"channel", file_channel},
                                     {"events", file_events},
                                     {"begin", file_begin},
                                     {"commit", file_commit},
                                     {"put", file_put},
                                     {"vacuum", file_vacuum},
                                     {"put_channel", file_put_channel},
                                     {"values", file_values},
                                     {"put_value", file_put_value},
                                     {"close", file_close},
                                     {"discard", file_discard},
                                     {NULL, NULL}};
  class_new(L, META, methods, file_close);
  lua_pushcfunction(L, open_file);
  lua_setfield(L, -2, "store_file");
}
