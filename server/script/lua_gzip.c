// SPDX-License-Identifier: MIT
// A script that says what its body is coded in already, or that nobody may change it (no-transform), is taken
// at its word. A tag of the text is a weak one of its compressed form, whose bytes may differ another time.
#include "script/lua_gzip.h"
#include <lauxlib.h>
#include "http/mime.h"
#include "http/negotiation.h"
#include "script/class.h"
#include "script/exchange.h"
#include "script/vm.h"

enum { TEXT_MIN = 1 << 10 };

static struct field *field_find(struct field *fields, size_t n, struct span name) {
  for (size_t i = 0; i < n; i++)
    if (span_equal_nocase(fields[i].name, name)) return &fields[i];
  return NULL;
}

static bool is_fixed(struct field *fields, size_t n) {
  const struct field *cache = field_find(fields, n, SPAN("cache-control"));
  struct span list = cache ? cache->value : SPAN("");
  while (list.len)
    if (span_equal_nocase(span_trim(span_split(&list, ',')), SPAN("no-transform"))) return true;
  return field_find(fields, n, SPAN("content-encoding")) || field_find(fields, n, SPAN("content-range"));
}

bool gzip_choose(lua_State *L, int index, const struct exchange *ex, struct field *fields, size_t *n) {
  bool wanted = lua_isnoneornil(L, index) ? vm_of(L)->settings->compress.on : lua_toboolean(L, index);
  if (!wanted || !ex || !ex->request || is_fixed(fields, *n)) return false;
  fields[(*n)++] = (struct field){SPAN("Vary"), SPAN("Accept-Encoding")};
  if (!encoding_takes_gzip(ex->request)) return false;
  fields[(*n)++] = (struct field){SPAN("Content-Encoding"), SPAN("gzip")};
  return true;
}

bool gzip_suits(int status, struct span type, struct span body) {
  bool has_body = status != 204 && status != 205 && status != 304 && status != 206;
  return has_body && body.len >= TEXT_MIN && body.len <= COMPRESSED_MAX && mime_is_text(type);
}

static void weaken(lua_State *L, struct field *fields, size_t n) {
  struct field *tag = field_find(fields, n, SPAN("etag"));
  if (!tag || !tag->value.len || tag->value.bytes[0] != '"') return;
  lua_pushliteral(L, "W/");
  lua_pushlstring(L, tag->value.bytes, tag->value.len);
  lua_concat(L, 2);
  tag->value.bytes = lua_tolstring(L, -1, &tag->value.len);
}

struct span gzip_text(lua_State *L, int index, const struct exchange *ex, struct field *fields, size_t *n,
                      struct span body) {
  if (!gzip_choose(L, index, ex, fields, n)) return body;
  struct gzip_tools *tools = &vm_of(L)->service->gzip;
  struct counters *counters = &vm_of(L)->service->counters;
  struct buf *out = push_buf(L);
  deflater_gzip(gzip_alone(tools), body, out);
  if (out->len >= body.len) {
    (*n)--; // it does not say that it is
    return body;
  }
  weaken(L, fields, *n);
  counter_add(&counters->compressed_bytes_in_total, (int64_t)body.len);
  counter_add(&counters->compressed_bytes_out_total, (int64_t)out->len);
  return buf_span(out);
}
