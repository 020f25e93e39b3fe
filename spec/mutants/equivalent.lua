-- SPDX-License-Identifier: MIT
-- Changes that nobody could see, which the compiler does not know: { file, change, the line, why }. They are not counted.
return {
  { "event/broker.c", "left out: map_init(&b->channels, map_seed(b))", "map_init(&b->channels, map_seed(b));", "a table of zeros is an empty one; only its hash is another" },
  { "event/channel.c", "0 becomes 1", "*events = count < 0 ? NULL : history_collect(c, (size_t)count);", "of no events the collection is NULL as well" },
  { "event/outlet.c", "8 becomes 9", "o->pending_cap = o->pending_cap ? o->pending_cap * 2 : 8;", "how much room is made at first" },
  { "event/outlet.c", "8 becomes 7", "o->pending_cap = o->pending_cap ? o->pending_cap * 2 : 8;", "how much room is made at first" },
  { "event/outlet.c", "2 becomes 3", "o->pending_cap = o->pending_cap ? o->pending_cap * 2 : 8;", "how much room is made then" },
  { "http/conditional.c", "- becomes +", "const char *end = memchr(list->bytes + quote + 1, '\"', list->len - quote - 1);", "a few bytes behind a field's value there is no quote" },
  { "http/conditional.c", "- becomes + (2)", "const char *end = memchr(list->bytes + quote + 1, '\"', list->len - quote - 1);", "a few bytes behind a field's value there is no quote" },
  { "http/multipart.c", "+ becomes -", "bool escapes = rest->bytes[i] == '\\\\' && i + 1 < rest->len &&", "behind the last byte, which ends nothing, is the end of the line" },
  { "http/route_pattern.c", "> becomes >=", "return name.len > 0;", "a name that is empty was refused before" },
  { "http/head_check.c", "0 becomes 1", "size_t len = 0;", "an empty authority is refused, and so is one that is '/' or '?'" },
  { "http/head_check.c", "1 becomes 2", "if (s->lengths > 1 || !decimal_read(s->length, UINT64_MAX, &length))", "llhttp refuses two lengths, and what is none, before" },
  { "http/head_check.c", "|| becomes &&", "if (s->lengths > 1 || !decimal_read(s->length, UINT64_MAX, &length))", "llhttp refuses two lengths, and what is none, before" },
  { "http/head_guard.c", "left out: at = skip_run(g, bytes, at, MIN(len, limits->head + g->lead_len))", "at = skip_run(g, bytes, at, MIN(len, limits->head + g->lead_len));",
    "each byte would have a step of its own" },
  { "http/route_pattern.c", "0 becomes 1", "return 0;", "callers ask whether it is negative" },
  { "http/router.c", "return is left out", "if (route_pattern_read(&p, pattern, error) < 0) return;", "it was read before, when the route was added" },
}
