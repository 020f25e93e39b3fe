// SPDX-License-Identifier: MIT
// The settings file is Lua without io and os: it returns a table, and this checks each key and value of it.
#include "script/lua_settings.h"
#include <lauxlib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include "base/nearest.h"
#include "base/util.h"
#include "client/redis_store.h"
#include "script/lua_admin_settings.h"
#include "script/lua_tls_settings.h"
#include "script/raise.h"

// What types and stacks bear: counters have 32 bits, the kernel takes an int of bytes, sums have 64 bits; a
// target is decoded on the thread's stack, of which each of jansson's 2048 levels takes some as well.
enum {
  COUNT_MAX = 1000000000,
  INT_BYTES_MAX = 1 << 30,
  TARGET_MAX = 1 << 20,
  DEPTH_MAX = 2000,
  THREADS_MAX = 256,
  STREAM_WINDOW_MIN = 1 << 10,           // below it a body is more frames than bytes
  CONNECTION_WINDOW_MIN = (64 << 10) - 1 // what a client has before it is told of another (RFC 9113 6.9.2)
};
static const lua_Integer BYTES_MAX = (lua_Integer)1 << 40;
static const double SECONDS_MAX = 1e9;
enum kind {
  KIND_BYTES,
  KIND_INT_BYTES,
  KIND_TARGET,
  KIND_DEPTH,
  KIND_THREADS,
  KIND_COUNT,
  KIND_COUNT_OR_0,
  KIND_SECONDS,
  KIND_BOOLEAN,
  KIND_STREAM_WINDOW,
  KIND_CONNECTION_WINDOW,
  KIND_WINDOW,
  KIND_LEVEL,
  KIND_FORMAT,
  KIND_NAMES
};

#define ROW(group, name, what) \
  { #group, #name, what, offsetof(struct settings, group.name) }
static const struct row {
  const char *group, *name;
  enum kind kind;
  size_t offset;
} rows[] = {
    ROW(limits, head, KIND_INT_BYTES),
    ROW(limits, target, KIND_TARGET),
    ROW(limits, fields, KIND_COUNT),
    ROW(limits, body, KIND_BYTES),
    ROW(limits, chunk_extensions, KIND_BYTES),
    ROW(limits, requests, KIND_COUNT),
    ROW(limits, connections, KIND_COUNT_OR_0),
    ROW(limits, connections_per_address, KIND_COUNT),
    ROW(limits, handshakes, KIND_COUNT),
    ROW(limits, send_buffer, KIND_INT_BYTES),
    ROW(limits, upload, KIND_BYTES),
    ROW(limits, parts, KIND_COUNT),
    ROW(limits, spool, KIND_BYTES),
    ROW(limits, query_pairs, KIND_COUNT),
    ROW(limits, event, KIND_INT_BYTES),
    ROW(limits, queue_high, KIND_BYTES),
    ROW(limits, queue_low, KIND_BYTES),
    ROW(limits, queue_events, KIND_COUNT),
    ROW(limits, subscriber, KIND_BYTES),
    ROW(limits, inbox, KIND_BYTES),
    ROW(limits, lua_memory, KIND_BYTES),
    ROW(limits, shared, KIND_BYTES),
    ROW(limits, json_depth, KIND_DEPTH),
    ROW(limits, tasks, KIND_COUNT),
    ROW(limits, processes, KIND_COUNT),
    ROW(limits, channels, KIND_COUNT),
    ROW(limits, channel_bytes, KIND_BYTES),
    ROW(limits, http_requests, KIND_COUNT),
    ROW(limits, http_window, KIND_INT_BYTES),
    ROW(limits, http_head, KIND_INT_BYTES),
    ROW(limits, http_fields, KIND_COUNT),
    ROW(limits, http_body, KIND_BYTES),
    ROW(limits, files, KIND_COUNT),
    ROW(limits, file_window, KIND_INT_BYTES),
    ROW(limits, file, KIND_BYTES),
    ROW(limits, work, KIND_BYTES),
    ROW(limits, burst, KIND_SECONDS),
    ROW(limits, turn, KIND_SECONDS),
    ROW(limits, hang, KIND_SECONDS),
    ROW(timeouts, handshake, KIND_SECONDS),
    ROW(timeouts, head, KIND_SECONDS),
    ROW(timeouts, idle, KIND_SECONDS),
    ROW(timeouts, body, KIND_SECONDS),
    ROW(timeouts, body_total, KIND_SECONDS),
    ROW(timeouts, send, KIND_SECONDS),
    ROW(timeouts, start, KIND_SECONDS),
    ROW(timeouts, http_connect, KIND_SECONDS),
    ROW(timeouts, http_idle, KIND_SECONDS),
    ROW(http, private, KIND_BOOLEAN),
    ROW(compress, on, KIND_BOOLEAN),
    ROW(compress, window, KIND_WINDOW),
    ROW(compress, memory, KIND_BYTES),
    ROW(timeouts, kill, KIND_SECONDS),
    ROW(http2, on, KIND_BOOLEAN),
    ROW(http2, streams, KIND_COUNT),
    ROW(http2, window, KIND_STREAM_WINDOW),
    ROW(http2, connection_window, KIND_CONNECTION_WINDOW),
    ROW(http2, requests, KIND_COUNT),
    ROW(http2, resets, KIND_COUNT),
    ROW(http2, frames, KIND_COUNT),
    ROW(keep_alive, interval, KIND_SECONDS),
    ROW(offload, threads, KIND_THREADS),
    ROW(offload, queue, KIND_COUNT_OR_0),
    ROW(offload, memory, KIND_BYTES),
    ROW(offload, bytes, KIND_INT_BYTES),
    ROW(offload, time, KIND_SECONDS),
    ROW(shutdown, grace, KIND_SECONDS),
    ROW(shutdown, window, KIND_SECONDS),
    ROW(shutdown, retry, KIND_SECONDS),
    ROW(reload, max_age, KIND_SECONDS),
    ROW(reload, generations, KIND_COUNT),
    ROW(log, level, KIND_LEVEL),
    {"log", "format", KIND_FORMAT, offsetof(struct settings, log.format)},
    ROW(log, access, KIND_BOOLEAN),
    ROW(log, redact, KIND_NAMES),
};

static int bad_value(lua_State *L, const struct row *r, const char *expected) {
  return luaL_error(L, "%s.%s: expected %s, got %s", r->group, r->name, expected, push_shown(L, -1));
}

static int level_of(struct span name) {
  static const char *const names[] = {"debug", "info", "warn", "error", "off"};
  for (size_t i = 0; i < countof(names); i++)
    if (span_equal(name, span_of(names[i]))) return (int)i;
  return -1;
}

static int format_of(struct span name) {
  static const char *const names[] = {"text", "json", "pretty"};
  for (size_t i = 0; i < countof(names); i++)
    if (span_equal(name, span_of(names[i]))) return (int)i;
  return -1;
}

static lua_Integer size_max(enum kind kind) {
  switch (kind) {
  case KIND_BYTES: return BYTES_MAX;
  case KIND_INT_BYTES:
  case KIND_STREAM_WINDOW:
  case KIND_CONNECTION_WINDOW: return INT_BYTES_MAX;
  case KIND_TARGET: return TARGET_MAX;
  case KIND_DEPTH: return DEPTH_MAX;
  case KIND_THREADS: return THREADS_MAX;
  default: return COUNT_MAX;
  }
}

static lua_Integer size_min(enum kind kind) {
  switch (kind) {
  case KIND_STREAM_WINDOW: return STREAM_WINDOW_MIN;
  case KIND_CONNECTION_WINDOW: return CONNECTION_WINDOW_MIN;
  case KIND_COUNT_OR_0: return 0;
  default: return 1;
  }
}

static void read_size(lua_State *L, const struct row *r, size_t *into) {
  int ok;
  lua_Integer least = size_min(r->kind);
  lua_Integer n = lua_tointegerx(L, -1, &ok), max = size_max(r->kind);
  bool is_number = lua_type(L, -1) == LUA_TNUMBER;
  if (is_number && (ok ? n > max : lua_tonumber(L, -1) > (lua_Number)max))
    luaL_error(L, "%s.%s: expected at most %I, got %s", r->group, r->name, (LUAI_UACINT)max,
               luaL_tolstring(L, -1, NULL));
  if (!ok || !is_number || n < least)
    luaL_error(L, "%s.%s: expected a whole number of %I or more, got %s", r->group, r->name,
               (LUAI_UACINT)least, push_shown(L, -1));
  *into = (size_t)n;
}

// The number of strings in the list on top of the stack.
static int check_list(lua_State *L, const char *setting, int max) {
  if (!lua_istable(L, -1))
    luaL_error(L, "%s: expected a list of strings, got %s", setting, luaL_typename(L, -1));
  lua_Integer n = (lua_Integer)lua_rawlen(L, -1);
  if (n > max) luaL_error(L, "%s: expected at most %d entries", setting, max);
  return (int)n;
}

// Entry `i` of that list, pushed.
static struct span push_entry(lua_State *L, const char *setting, int i) {
  struct span s = {0};
  if (lua_rawgeti(L, -1, i) != LUA_TSTRING)
    luaL_error(L, "%s[%d]: expected a string, got %s", setting, i, luaL_typename(L, -1));
  s.bytes = lua_tolstring(L, -1, &s.len);
  return s;
}

// log.redact: names of query parameters.
static void read_names(lua_State *L, const char *setting, struct short_names *into) {
  int n = check_list(L, setting, SHORT_NAMES_MAX);
  *into = (struct short_names){0};
  for (int i = 1; i <= n; i++) {
    struct span name = push_entry(L, setting, i);
    if (!name.len || name.len >= SHORT_NAME_MAX || memchr(name.bytes, 0, name.len))
      luaL_error(L, "%s[%d]: expected a name of 1 to %d bytes", setting, i, SHORT_NAME_MAX - 1);
    memcpy(into->list[into->count++], name.bytes, name.len);
    lua_pop(L, 1);
  }
}

// trusted_proxies: addresses, networks, "unix".
static void read_trusted(lua_State *L, struct trusted *into) {
  int n = check_list(L, "trusted_proxies", TRUSTED_MAX);
  *into = (struct trusted){0};
  for (int i = 1; i <= n; i++) {
    struct span text = push_entry(L, "trusted_proxies", i);
    if (span_equal(text, SPAN("unix"))) into->unix_sockets = true;
    else if (!cidr_parse(text, &into->networks[into->count++]))
      luaL_error(
          L, "trusted_proxies[%d]: expected an address, a network such as 10.0.0.0/8, or \"unix\", got '%s'",
          i, text.bytes);
    lua_pop(L, 1);
  }
}

static void read_seconds(lua_State *L, const struct row *r, double *into) {
  double n = lua_tonumber(L, -1);
  bool is_number = lua_type(L, -1) == LUA_TNUMBER;
  if (is_number && n > SECONDS_MAX)
    luaL_error(L, "%s.%s: expected at most %f seconds, got %s", r->group, r->name, SECONDS_MAX,
               luaL_tolstring(L, -1, NULL));
  if (!is_number || !(n > 0)) bad_value(L, r, "seconds above 0");
  *into = n;
}

// What a deflate stream may look back, from what is worth it to what the format knows.
static void read_window(lua_State *L, const struct row *r, size_t *into) {
  size_t n = 0;
  if (lua_isinteger(L, -1)) n = (size_t)lua_tointeger(L, -1);
  if (n != 8 << 10 && n != 16 << 10 && n != 32 << 10) bad_value(L, r, "8192, 16384 or 32768 bytes");
  *into = n;
}

// The value on top of the stack.
static void read_value(lua_State *L, const struct row *r, struct settings *s) {
  void *into = (char *)s + r->offset;
  struct span text = {0};
  if (lua_type(L, -1) == LUA_TSTRING) text.bytes = lua_tolstring(L, -1, &text.len);
  switch (r->kind) {
  case KIND_BYTES:
  case KIND_INT_BYTES:
  case KIND_TARGET:
  case KIND_DEPTH:
  case KIND_THREADS:
  case KIND_COUNT:
  case KIND_STREAM_WINDOW:
  case KIND_CONNECTION_WINDOW:
  case KIND_COUNT_OR_0: read_size(L, r, into); break;
  case KIND_SECONDS: read_seconds(L, r, into); break;
  case KIND_BOOLEAN:
    if (!lua_isboolean(L, -1)) bad_value(L, r, "true or false");
    *(bool *)into = lua_toboolean(L, -1);
    break;
  case KIND_LEVEL:
    if (level_of(text) < 0) bad_value(L, r, "\"debug\", \"info\", \"warn\", \"error\" or \"off\"");
    *(int *)into = level_of(text);
    break;
  case KIND_FORMAT:
    if (format_of(text) < 0) bad_value(L, r, "\"text\", \"json\" or \"pretty\"");
    *(int *)into = format_of(text);
    break;
  case KIND_WINDOW: read_window(L, r, into); break;
  case KIND_NAMES: read_names(L, "log.redact", into); break;
  }
}

static bool key_is(lua_State *L, const char *name) {
  struct span key;
  if (lua_type(L, -2) != LUA_TSTRING) return false;
  key.bytes = lua_tolstring(L, -2, &key.len);
  return span_equal(key, span_of(name));
}

// store = "sqlite:PATH", or a URL of Redis: key and value are on top of the stack.
static bool read_store(lua_State *L, struct settings *s) {
  static const char scheme[] = "sqlite:";
  char why[REDIS_STORE_WHY_MAX];
  if (!key_is(L, "store")) return false;
  const char *url = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "";
  size_t len = strlen(url);
  bool is_file = strncmp(url, scheme, sizeof scheme - 1) == 0 && len > sizeof scheme - 1;
  if ((!is_file && !redis_store_knows(url)) || len != lua_rawlen(L, -1))
    luaL_error(L, "store: expected \"sqlite:PATH\" or \"redis://HOST:PORT/DB?prefix=spate\", got %s",
               push_shown(L, -1));
  if (!is_file && !redis_store_judge(url, why)) luaL_error(L, "store: %s", why);
  if (len >= sizeof s->store.url)
    luaL_error(L, "store: expected at most %d bytes", (int)sizeof s->store.url - 1);
  memcpy(s->store.url, url, len + 1);
  return true;
}

// durable = "commit" or "async".
static bool read_durable(lua_State *L, struct settings *s) {
  if (!key_is(L, "durable")) return false;
  const char *how = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "";
  s->store.is_async = !strcmp(how, "async");
  if (!s->store.is_async && strcmp(how, "commit") != 0)
    luaL_error(L, "durable: expected \"commit\" or \"async\", got %s", push_shown(L, -1));
  return true;
}

// compress = true and http2 = false, short for { on = true } and { on = false }; key and value are on top of
// the stack.
static bool read_switch(lua_State *L, const char *group, bool *on) {
  if (!key_is(L, group) || lua_istable(L, -1)) return false;
  if (!lua_isboolean(L, -1))
    luaL_error(L, "%s: expected true, false or a table, got %s", group, push_shown(L, -1));
  *on = lua_toboolean(L, -1);
  return true;
}

// io_uring = "auto" or "off".
static bool read_io_uring(lua_State *L, struct settings *s) {
  if (!key_is(L, "io_uring")) return false;
  const char *how = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "";
  s->io_uring = !strcmp(how, "auto");
  if (!s->io_uring && strcmp(how, "off") != 0)
    luaL_error(L, "io_uring: expected \"auto\" or \"off\", got %s", push_shown(L, -1));
  return true;
}

// Key and value are on top of the stack.
static int unknown_key(lua_State *L, const char *group, const char *const *names, size_t count) {
  const char *name = luaL_tolstring(L, -2, NULL), *close = nearest(name, names, count);
  const char *dot = *group ? "." : "";
  static const char *const of_listen[] = {"port", "host", "address", "bind"};
  if (!close && !*group && nearest(name, of_listen, countof(of_listen)))
    return luaL_error(L, "unknown setting '%s'; listen = { \"127.0.0.1:8080\" } has address and port", name);
  if (!close) return luaL_error(L, "unknown setting '%s%s%s'", group, dot, name);
  return luaL_error(L, "unknown setting '%s%s%s'; did you mean '%s%s%s'?", group, dot, name, group, dot,
                    close);
}

// Key and value of one setting of `group` on top of the stack.
static void read_row(lua_State *L, const char *group, struct settings *s) {
  const char *names[countof(rows)];
  size_t n = 0;
  for (size_t i = 0; i < countof(rows); i++) {
    if (strcmp(rows[i].group, group) != 0) continue;
    names[n++] = rows[i].name;
    if (!key_is(L, rows[i].name)) continue;
    read_value(L, &rows[i], s);
    return;
  }
  unknown_key(L, group, names, n);
}

static bool read_group(lua_State *L, const char *group, struct settings *s) {
  if (!key_is(L, group)) return false;
  for (size_t i = 0; !lua_istable(L, -1) && i < countof(rows); i++)
    if (!strcmp(rows[i].group, group))
      luaL_error(L, "%s: expected a table such as { %s = ... }, got %s", group, rows[i].name,
                 push_shown(L, -1));
  for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1)) read_row(L, group, s);
  return true;
}

// Of two settings one is at most the other; each may be a default.
static void check_order(lua_State *L, const char *name, double value, const char *other, double max) {
  char text[160];
  if (value <= max) return;
  snprintf(text, sizeof text, "%s: expected at most the %.14g of %s, got %.14g; lower it or raise that", name,
           max, other, value);
  luaL_error(L, "%s", text);
}

void settings_read(lua_State *L, int table, struct settings *s) {
  static const char *const groups[] = {"limits", "timeouts", "keep_alive", "shutdown", "reload",
                                       "log",    "http",     "http2",      "offload",  "compress"};
  static const char *const known[] = {
      "limits",   "timeouts", "keep_alive", "shutdown", "reload",          "log",     "http", "http2",
      "offload",  "listen",   "workers",    "store",    "trusted_proxies", "durable", "tls",  "compress",
      "io_uring", "admin"};
  for (lua_pushnil(L); lua_next(L, table); lua_pop(L, 1)) {
    bool found = key_is(L, "listen") || key_is(L, "workers");
    if (key_is(L, "trusted_proxies")) found = true, read_trusted(L, &s->trusted_proxies);
    if (key_is(L, "tls")) found = true, tls_settings_read(L, &s->tls);
    if (key_is(L, "admin")) found = true, admin_settings_read(L, s);
    found = found || read_store(L, s) || read_durable(L, s) || read_io_uring(L, s) ||
            read_switch(L, "compress", &s->compress.on) || read_switch(L, "http2", &s->http2.on);
    for (size_t i = 0; i < countof(groups) && !found; i++) found = read_group(L, groups[i], s);
    if (!found) unknown_key(L, "", known, countof(known));
  }
  check_order(L, "limits.queue_low", (double)s->limits.queue_low, "limits.queue_high",
              (double)s->limits.queue_high);
  check_order(L, "limits.burst", s->limits.burst, "limits.hang", s->limits.hang);
  check_order(L, "http2.window", (double)s->http2.window, "http2.connection_window",
              (double)s->http2.connection_window);
  s->tls.without_http2 = !s->http2.on;
}
