// SPDX-License-Identifier: MIT
// Builds a router from random patterns and asks it for random paths. The answer must be that of a slow
// reading of the same patterns: a list of routes, each compared with the path by itself, and the most
// particular of those that fit. The same bytes then go through percent_decode, query_next and cookie_next.
// Every input lies in an allocation of its exact size, so that the sanitizer sees a read or write beyond it.
//   clang -g -O1 -fsanitize=fuzzer,address,undefined -D_GNU_SOURCE -I server spec/fuzz/router_fuzz.c
//     server/http/router.c server/http/route_p*.c server/http/query.c server/base/mem.c
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/mem.h"
#include "base/util.h"
#include "http/query.h"
#include "http/router.h"

enum { ROUTES_MAX = 12, SEGMENTS_MAX = 80, TEXT_MAX = 512 };

#define REQUIRE(condition)                                                                     \
  do {                                                                                         \
    if (!(condition)) fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition), abort(); \
  } while (0)

// What patterns and paths are mostly put together from, so that they often meet.
static const char *const pattern_pieces[] = {
    "/",    "/",    "/",     "/a",     "/b",    "/1",     "/:x",     "/:y",     "/:z",      "/*r", "/:x[%d]",
    "[%d]", "[%w]", "[^/x]", "[a-c_]", "[0-9]", "[%a_-]", "/:y[%w]", "/:z[^a]", "/:v[a-b]", "a",   "\xc3\xa9",
    "[",    "]",    "%",     "-",      "^",     "*",      ":",       "[]a]",    "[%]]",     "1"};
static const char *const path_pieces[] = {
    "/",   "/",   "/",        "/a",     "/b",  "/1",        "/ab", "/12", "a",      "1",
    "%61", "%31", "%2F",      "%2f",    "%2e", ".",         "/..", "%00", "%0a",    "%7F",
    "%",   "%4",  "\xc3\xa9", "%C3%A9", "%c3", "%ED%A0%80", "x",   "c_",  "%C0%AF", "]"};

struct input {
  const uint8_t *bytes;
  size_t len;
};

struct text {
  size_t len;
  char bytes[TEXT_MAX];
};

static uint8_t input_byte(struct input *in) {
  if (!in->len) return 0;
  in->len--;
  return *in->bytes++;
}

static void text_append(struct text *t, const char *bytes, size_t len) {
  if (t->len + len > sizeof t->bytes) return;
  memcpy(t->bytes + t->len, bytes, len);
  t->len += len;
}

// A text of pieces, and at times of any byte. It mostly begins with a slash.
static struct text input_text(struct input *in, const char *const *pieces, size_t count) {
  struct text t = {0};
  uint8_t head = input_byte(in);
  if (head < 250) text_append(&t, "/", 1);
  for (int left = head % 20; left > 0 && in->len; left--) {
    uint8_t choice = input_byte(in);
    const char *piece = pieces[choice % count];
    char any = (char)(choice < 224 ? 0 : input_byte(in));
    if (choice < 224) text_append(&t, piece, strlen(piece));
    else text_append(&t, &any, 1);
  }
  return t;
}

struct part {
  int kind;         // 0 literal, 1 :name[set], 2 :name, 3 *rest: the order of preference
  struct span text; // the literal or the name
  struct span set;  // the inside, with its '^'
};

struct slow_route {
  enum method method;
  struct text pattern;
  struct part parts[SEGMENTS_MAX];
  size_t count;
};

// True when Lua's [set] holds the byte.
static bool set_holds(struct span set, unsigned char byte) {
  const unsigned char *s = (const unsigned char *)set.bytes;
  size_t i = set.len && s[0] == '^', negated = i;
  bool held = false;
  while (i < set.len) {
    if (s[i] == '%') {
      unsigned char c = s[i + 1], lower = (unsigned char)tolower(c);
      bool in = lower == 'a'   ? isalpha(byte)
                : lower == 'c' ? iscntrl(byte)
                : lower == 'd' ? isdigit(byte)
                : lower == 'g' ? isgraph(byte)
                : lower == 'l' ? islower(byte)
                : lower == 'p' ? ispunct(byte)
                : lower == 's' ? isspace(byte)
                : lower == 'u' ? isupper(byte)
                : lower == 'w' ? isalnum(byte)
                : lower == 'x' ? isxdigit(byte)
                : lower == 'z' ? byte == 0
                               : byte == c;
      bool class = lower && strchr("acdglpsuwxz", lower);
      held |= class && isupper(c) ? !in : in;
      i += 2;
    } else if (i + 2 < set.len && s[i + 1] == '-') {
      held |= s[i] <= byte && byte <= s[i + 2];
      i += 3;
    } else {
      held |= s[i++] == byte;
    }
  }
  return held != (bool)negated;
}

// The length of the inside of the set at the front of `s`, which begins behind '['.
static size_t set_length(struct span s) {
  size_t i = s.len && s.bytes[0] == '^';
  for (bool first = true;; first = false) {
    REQUIRE(i < s.len);
    if (s.bytes[i] == ']' && !first) return i;
    i += s.bytes[i] == '%' ? 2 : 1;
  }
}

// Takes a pattern apart that the router has accepted.
static void slow_read(struct slow_route *route) {
  struct span rest = {route->pattern.bytes, route->pattern.len};
  route->count = 0;
  while (rest.len) {
    REQUIRE(rest.bytes[0] == '/' && route->count < SEGMENTS_MAX);
    rest.bytes++, rest.len--;
    struct part part = {.kind = rest.len && rest.bytes[0] == ':'   ? 2
                                : rest.len && rest.bytes[0] == '*' ? 3
                                                                   : 0};
    size_t start = part.kind != 0, len = start;
    while (len < rest.len && rest.bytes[len] != '/' && !(part.kind == 2 && rest.bytes[len] == '[')) len++;
    part.text = (struct span){rest.bytes + start, len - start};
    if (len < rest.len && rest.bytes[len] == '[') {
      part.kind = 1;
      part.set = (struct span){rest.bytes + len + 1, rest.len - len - 1};
      part.set.len = set_length(part.set);
      len += part.set.len + 2;
    }
    route->parts[route->count++] = part;
    rest.bytes += len, rest.len -= len;
  }
}

static bool same_part(const struct part *a, const struct part *b) {
  if (a->kind != b->kind) return false;
  if (a->kind == 0) return span_equal(a->text, b->text);
  for (int byte = 0; a->kind == 1 && byte < 256; byte++)
    if (set_holds(a->set, (unsigned char)byte) != set_holds(b->set, (unsigned char)byte)) return false;
  return true;
}

// The number of leading parts that the two have in common.
static size_t common_parts(const struct slow_route *a, const struct slow_route *b) {
  size_t i = 0;
  while (i < a->count && i < b->count && same_part(&a->parts[i], &b->parts[i])) i++;
  return i;
}

static bool same_shape(const struct slow_route *a, const struct slow_route *b) {
  return a->count == b->count && common_parts(a, b) == a->count;
}

struct slow_path {
  struct text segments[SEGMENTS_MAX];
  size_t count;
};

// Decodes with strtol what isxdigit allows; -1 at a bad escape.
static long slow_decode(struct span in, bool plus, char *out) {
  long len = 0;
  for (size_t i = 0; i < in.len; i++) {
    char byte = in.bytes[i];
    if (byte == '%') {
      if (i + 2 >= in.len || !isxdigit((unsigned char)in.bytes[i + 1]) ||
          !isxdigit((unsigned char)in.bytes[i + 2]))
        return -1;
      char digits[3] = {in.bytes[i + 1], in.bytes[i + 2], 0};
      byte = (char)strtol(digits, NULL, 16);
      i += 2;
    }
    out[len++] = in.bytes[i] == '+' && byte == '+' && plus ? ' ' : byte;
  }
  return len;
}

static bool slow_segment_is_good(const struct text *t) {
  char dotted[TEXT_MAX + 3];
  if (memchr(t->bytes, 0, t->len)) return false;
  snprintf(dotted, sizeof dotted, "/%.*s/", (int)t->len, t->bytes);
  return !strstr(dotted, "/./") && !strstr(dotted, "/../");
}

// False where the path must be refused.
static bool slow_path_read(struct slow_path *p, struct span raw) {
  bool good = true;
  p->count = 0;
  for (size_t i = 0; i < raw.len;) {
    size_t start = ++i;
    while (i < raw.len && raw.bytes[i] != '/') i++;
    REQUIRE(p->count < SEGMENTS_MAX);
    struct text *segment = &p->segments[p->count++];
    long len = slow_decode((struct span){raw.bytes + start, i - start}, false, segment->bytes);
    segment->len = len < 0 ? 0 : (size_t)len;
    good = good && len >= 0 && slow_segment_is_good(segment);
  }
  return good;
}

// The decoded segments from `from` on, joined.
static struct text slow_rest(const struct slow_path *p, size_t from) {
  struct text t = {0};
  for (size_t i = from; i < p->count; i++) {
    if (i > from) text_append(&t, "/", 1);
    text_append(&t, p->segments[i].bytes, p->segments[i].len);
  }
  return t;
}

static bool part_fits(const struct part *part, const struct text *segment) {
  if (part->kind == 0) return span_equal(part->text, (struct span){segment->bytes, segment->len});
  for (size_t i = 0; part->kind == 1 && i < segment->len; i++)
    if (!set_holds(part->set, (unsigned char)segment->bytes[i])) return false;
  return segment->len > 0;
}

static bool slow_fits(const struct slow_route *route, const struct slow_path *path) {
  for (size_t i = 0; i < route->count; i++) {
    if (i >= path->count) return false;
    if (route->parts[i].kind == 3) return slow_rest(path, i).len > 0;
    if (!part_fits(&route->parts[i], &path->segments[i])) return false;
  }
  return route->count == path->count;
}

struct slow_router {
  struct slow_route routes[ROUTES_MAX];
  size_t count;
};

// The first route that begins with the same `parts` parts as `route`: sets are tried in that order.
static size_t first_with(const struct slow_router *s, const struct slow_route *route, size_t parts) {
  size_t i = 0;
  while (common_parts(&s->routes[i], route) < parts) i++;
  return i;
}

// True when `a` is the more particular of two that fit.
static bool goes_before(const struct slow_router *s, const struct slow_route *a, const struct slow_route *b) {
  size_t at = common_parts(a, b);
  if (at == a->count || at == b->count) return false;
  if (a->parts[at].kind != b->parts[at].kind) return a->parts[at].kind < b->parts[at].kind;
  return first_with(s, a, at + 1) < first_with(s, b, at + 1);
}

// GET's own routes stand in for HEAD where no HEAD route has the same shape.
static bool answers(const struct slow_router *s, const struct slow_route *route, enum method method) {
  if (route->method == method) return true;
  if (method != METHOD_HEAD || route->method != METHOD_GET) return false;
  for (size_t i = 0; i < s->count; i++)
    if (s->routes[i].method == METHOD_HEAD && same_shape(&s->routes[i], route)) return false;
  return true;
}

static const struct slow_route *slow_match(const struct slow_router *s, enum method method,
                                           const struct slow_path *path, unsigned *allowed) {
  const struct slow_route *best = NULL;
  *allowed = 0;
  for (size_t i = 0; i < s->count; i++) {
    const struct slow_route *route = &s->routes[i];
    if (!slow_fits(route, path)) continue;
    *allowed |= 1u << route->method | (route->method == METHOD_GET) << METHOD_HEAD;
    if (answers(s, route, method) && (!best || goes_before(s, route, best))) best = route;
  }
  return best;
}

static void add_route(struct router *r, struct slow_router *s, struct input *in) {
  struct slow_route *route = &s->routes[s->count];
  route->method = input_byte(in) % METHOD_COUNT;
  route->pattern = input_text(in, pattern_pieces, countof(pattern_pieces));
  char error[ROUTER_ERROR_MAX] = "", *text = xmemdup(route->pattern.bytes, route->pattern.len);
  int other = -1, added = router_add(r, route->method, (struct span){text, route->pattern.len}, (int)s->count,
                                     &other, error);
  free(text);
  if (added < 0) {
    REQUIRE(strnlen(error, sizeof error) > 0 && strnlen(error, sizeof error) < sizeof error);
    return;
  }
  slow_read(route);
  int same = -1;
  for (size_t i = 0; i < s->count; i++)
    if (s->routes[i].method == route->method && same_shape(&s->routes[i], route)) same = (int)i;
  REQUIRE(!added && other == same);
  s->count += same < 0;
  if (same < 0 || input_byte(in) % 2) return;
  router_replace(r, (int)route->method, (struct span){route->pattern.bytes, route->pattern.len});
  s->routes[same].pattern = route->pattern; // with names of its own
  slow_read(&s->routes[same]);
}

static void check_params(const struct route_match *m, const struct slow_route *route,
                         const struct slow_path *path) {
  size_t k = 0;
  for (size_t i = 0; i < route->count; i++) {
    const struct part *part = &route->parts[i];
    if (part->kind == 0) continue;
    struct text value = part->kind == 3 ? slow_rest(path, i) : path->segments[i];
    REQUIRE(k < m->param_count && span_equal(m->names[k], part->text));
    REQUIRE(span_equal(m->values[k], (struct span){value.bytes, value.len}));
    k++;
  }
  REQUIRE(k == m->param_count);
}

static void check_path(const struct router *r, const struct slow_router *s, struct input *in) {
  static struct slow_path slow;
  enum method method = input_byte(in) % METHOD_COUNT;
  struct text path = input_text(in, path_pieces, countof(path_pieces));
  if (!path.len || path.bytes[0] != '/') return;
  char *raw = xmemdup(path.bytes, path.len), *scratch = xmalloc(path.len + !path.len);
  struct route_match m = {0};
  enum route_status status = router_match(r, method, (struct span){raw, path.len}, scratch, &m);
  free(raw);
  unsigned allowed = 0;
  if (!slow_path_read(&slow, (struct span){path.bytes, path.len})) {
    REQUIRE(status == ROUTE_BAD_PATH && !m.allowed);
  } else {
    const struct slow_route *route = slow_match(s, method, &slow, &allowed);
    REQUIRE(status == (route ? ROUTE_FOUND : allowed ? ROUTE_NO_METHOD : ROUTE_NO_PATH));
    REQUIRE(route ? m.route == (int)(route - s->routes) : m.allowed == allowed);
    if (route) check_params(&m, route, &slow);
  }
  free(scratch);
}

static void check_decode(const char *bytes, size_t len, bool plus) {
  char *out = xmalloc(len + !len), *expected = xmalloc(len + !len), *in_place = xmemdup(bytes, len);
  long n = percent_decode((struct span){bytes, len}, plus, out);
  REQUIRE(n == slow_decode((struct span){bytes, len}, plus, expected));
  REQUIRE(n == percent_decode((struct span){in_place, len}, plus, in_place));
  REQUIRE(n <= 0 || (!memcmp(out, expected, (size_t)n) && !memcmp(out, in_place, (size_t)n)));
  free(out), free(expected), free(in_place);
}

// True when `part` lies within the bytes and has no `separator`.
static bool lies_in(struct span part, const char *bytes, size_t len, char separator) {
  if (part.bytes < bytes || part.bytes + part.len > bytes + len) return false;
  return !part.len || !memchr(part.bytes, separator, part.len);
}

static void check_pairs(const char *bytes, size_t len, char separator,
                        bool (*next)(struct span *, struct span *, struct span *)) {
  struct span rest = {bytes, len}, name, value;
  for (size_t before = len; next(&rest, &name, &value); before = rest.len) {
    REQUIRE(rest.len < before && rest.bytes + rest.len == bytes + len);
    REQUIRE(lies_in(name, bytes, len, separator) && lies_in(value, bytes, len, separator));
    REQUIRE(lies_in(name, bytes, len, '=') && name.bytes + name.len <= value.bytes);
  }
  REQUIRE(!rest.len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static struct slow_router slow;
  struct input in = {data, size};
  struct router *r = router_new();
  slow.count = 0;
  for (int left = input_byte(&in) % (ROUTES_MAX + 1); left > 0 && in.len; left--) add_route(r, &slow, &in);
  for (int left = 8; left > 0 && in.len; left--) check_path(r, &slow, &in);
  router_free(r);
  char *bytes = xmemdup(data, size);
  check_decode(bytes, size, true);
  check_decode(bytes, size, false);
  check_pairs(bytes, size, '&', query_next);
  check_pairs(bytes, size, ';', cookie_next);
  free(bytes);
  return 0;
}
