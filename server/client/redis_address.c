// SPDX-License-Identifier: MIT
// Escapes (%40) are undone in each part for itself, so that a password may have any byte but NUL.
#include "client/redis_address.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/digits.h"
#include "base/mem.h"
#include "base/util.h"

// A copy with its escapes undone; NULL where one is none, or is NUL.
static char *unescape(struct span s) {
  char *text = xmalloc(s.len + 1), *to = text;
  for (size_t i = 0; i < s.len; i++) {
    char c = s.bytes[i];
    if (c == '%') {
      int high = i + 2 < s.len ? hex_value(s.bytes[i + 1]) : -1;
      int low = i + 2 < s.len ? hex_value(s.bytes[i + 2]) : -1;
      c = high < 0 || low < 0 ? 0 : (char)(high * 16 + low), i += 2;
    }
    if (!c) return free(text), NULL;
    *to++ = c;
  }
  *to = 0;
  return text;
}

// Whether `url` begins so; takes that off it.
static bool take_scheme(struct span *url, const char *scheme) {
  struct span s = span_of(scheme);
  if (url->len < s.len || !span_equal_nocase((struct span){url->bytes, s.len}, s)) return false;
  url->bytes += s.len, url->len -= s.len;
  return true;
}

static bool read_scheme(struct redis_address *a, struct span *url) {
  static const struct {
    const char *text;
    enum redis_kind kind;
    bool is_secure;
  } schemes[] = {{"redis://", REDIS_SINGLE, false},
                 {"rediss://", REDIS_SINGLE, true},
                 {"unix://", REDIS_UNIX, false},
                 {"redis+unix://", REDIS_UNIX, false},
                 {"redis+sentinel://", REDIS_SENTINEL, false},
                 {"rediss+sentinel://", REDIS_SENTINEL, true},
                 {"redis+cluster://", REDIS_CLUSTER, false},
                 {"rediss+cluster://", REDIS_CLUSTER, true}};
  for (size_t i = 0; i < countof(schemes); i++) {
    if (!take_scheme(url, schemes[i].text)) continue;
    a->kind = schemes[i].kind, a->is_secure = schemes[i].is_secure;
    return true;
  }
  return false;
}

// "user:password@", ":password@" or "user@" off the front of `rest`.
static bool read_user(struct redis_address *a, struct span *rest) {
  size_t at = rest->len;
  while (at && rest->bytes[at - 1] != '@') at--;
  if (!at) return true;
  struct span both = {rest->bytes, at - 1}, user = span_split(&both, ':');
  rest->bytes += at, rest->len -= at;
  a->password = unescape(both);
  if (user.len) a->user = unescape(user);
  return a->password && (!user.len || a->user);
}

static bool read_host(struct redis_address *a, struct span s) {
  struct redis_host *h = &a->hosts[a->host_count];
  uint64_t port = a->kind == REDIS_SENTINEL ? REDIS_SENTINEL_PORT : REDIS_PORT;
  struct span name = s;
  if (a->host_count == REDIS_HOSTS_MAX) return false;
  if (s.len && s.bytes[0] == '[') {
    s.bytes++, s.len--;
    name = span_split(&s, ']');
    if (s.len && s.bytes[0] != ':') return false;
    if (s.len) s.bytes++, s.len--;
  } else name = span_split(&s, ':');
  bool has_port = name.bytes + name.len < s.bytes && s.bytes[-1] == ':';
  if (has_port && (!decimal_read(s, UINT16_MAX, &port) || !port)) return a->wrong_port = s, false;
  if (!name.len || !(h->name = unescape(name))) return false;
  h->port = (unsigned)port;
  a->host_count++;
  return true;
}

static bool read_hosts(struct redis_address *a, struct span s) {
  if (!s.len && a->kind == REDIS_SINGLE) s = SPAN("127.0.0.1");
  while (s.len) {
    struct span host = span_split(&s, ',');
    if (!read_host(a, host)) return false;
  }
  return a->host_count == 1 || (a->host_count > 1 && a->kind != REDIS_SINGLE);
}

// A password in which a '/' was not escaped seems to begin with a port: with an '@' behind it none is shown.
static const char *explain_hosts(struct redis_address *a, struct span rest) {
  struct span port = a->wrong_port;
  size_t digits = 0;
  if (!port.bytes) return "expected host or host:port in the URL";
  while (digits < port.len && port.bytes[digits] >= '0' && port.bytes[digits] <= '9') digits++;
  if (!digits || digits < port.len || port.len > 20 || memchr(rest.bytes, '@', rest.len))
    return "expected 1 to 65535 as the port in the URL";
  snprintf(a->why, sizeof a->why, "expected 1 to 65535 as the port in the URL, got " SPAN_FMT,
           SPAN_ARG(port));
  return a->why;
}

static bool read_db(struct redis_address *a, struct span s) {
  uint64_t db = 0;
  if (!s.len) return true;
  if (!decimal_read(s, UINT16_MAX, &db) || (db && a->kind == REDIS_CLUSTER)) return false;
  a->db = (unsigned)db;
  return true;
}

static char **option_at(struct redis_address *a, const char *name) {
  const struct {
    const char *name;
    char **value;
  } own[] = {{"ca", &a->ca},
             {"cert", &a->cert},
             {"key", &a->key},
             {"sentinel_user", &a->sentinel_user},
             {"sentinel_password", &a->sentinel_password}};
  for (size_t i = 0; i < countof(own); i++)
    if (!strcmp(own[i].name, name)) return own[i].value;
  return NULL;
}

static bool read_option(struct redis_address *a, struct span pair) {
  struct span name = span_split(&pair, '=');
  char *key = unescape(name), *value = unescape(pair), **own = key ? option_at(a, key) : NULL;
  bool ok = key && value && name.len, is_db = ok && !strcmp(key, "db");
  if (is_db) ok = read_db(a, span_of(value));
  else if (ok && own && !*own) {
    *own = value, value = NULL;
  } else if (ok && !own && a->option_count < REDIS_URL_OPTIONS_MAX) {
    a->options[a->option_count++] = (struct redis_url_option){key, value};
    return true;
  } else ok = false;
  free(key);
  free(value);
  return ok;
}

static bool read_path(struct redis_address *a, struct span path) {
  if (a->kind == REDIS_UNIX) return path.len > 1 && (a->path = unescape(path));
  if (path.len) path.bytes++, path.len--;
  if (a->kind != REDIS_SENTINEL) return read_db(a, path);
  struct span name = span_split(&path, '/');
  return name.len && (a->master = unescape(name)) && read_db(a, path);
}

const char *redis_address_init(struct redis_address *a, struct span url) {
  *a = (struct redis_address){0};
  if (!read_scheme(a, &url))
    return "expected a URL of redis://, rediss://, unix://, redis+sentinel:// or redis+cluster://";
  struct span query = url, whole = span_split(&query, '?');
  const char *slash = whole.len ? memchr(whole.bytes, '/', whole.len) : NULL;
  size_t len = slash ? (size_t)(slash - whole.bytes) : whole.len;
  struct span hosts = {whole.bytes, len}, path = {whole.bytes + len, whole.len - len};
  if (!read_user(a, &hosts)) return "an escape in the URL's user or password is none";
  if (a->kind == REDIS_UNIX ? hosts.len > 0 : !read_hosts(a, hosts))
    return explain_hosts(a, (struct span){hosts.bytes, (size_t)(url.bytes + url.len - hosts.bytes)});
  if (!read_path(a, path)) {
    return a->kind == REDIS_UNIX ? "expected the path of a socket in the URL: unix:///run/redis/redis.sock"
           : a->kind == REDIS_SENTINEL
               ? "expected the master's name behind the sentinels in the URL"
               : "expected a database's number at the end of the URL; a cluster has 0 only";
  }
  while (query.len)
    if (!read_option(a, span_split(&query, '&')))
      return "expected name=value behind the URL's '?', each name once";
  return NULL;
}

void redis_address_deinit(struct redis_address *a) {
  for (unsigned i = 0; i < a->host_count; i++) free(a->hosts[i].name);
  for (unsigned i = 0; i < a->option_count; i++) free(a->options[i].name), free(a->options[i].value);
  char *const texts[] = {a->path, a->user, a->password,      a->master,           a->ca,
                         a->cert, a->key,  a->sentinel_user, a->sentinel_password};
  for (size_t i = 0; i < countof(texts); i++) free(texts[i]);
  *a = (struct redis_address){0};
}

char *redis_address_take(struct redis_address *a, const char *name) {
  for (unsigned i = 0; i < a->option_count; i++) {
    struct redis_url_option *o = &a->options[i];
    if (strcmp(o->name, name)) continue;
    char *value = o->value;
    free(o->name);
    *o = a->options[--a->option_count];
    return value;
  }
  return NULL;
}
