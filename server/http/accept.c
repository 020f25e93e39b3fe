// SPDX-License-Identifier: MIT
// Each of the two types has the quality of the range that matches it best. Ranges that are malformed match
// nothing: a client that says nothing we understand gets text.
#include "http/accept.h"
#include "base/util.h"

enum { QUALITY_MAX = 1000, RANK_ANY = 1, RANK_MAJOR, RANK_NAMED };

struct liking {
  int quality; // in thousandths
  int rank;    // how closely the range matches; 0: none does
  int at;      // which range of the list
};

// "0.25" as 250; what is no weight counts as 1, what is above it too.
static int quality_of(struct span s) {
  int n = 0, unit = QUALITY_MAX;
  if (!s.len || s.bytes[0] < '0' || s.bytes[0] > '9') return QUALITY_MAX;
  for (size_t i = 0; i < s.len && unit; i++) {
    if (s.bytes[i] == '.') continue;
    if (s.bytes[i] < '0' || s.bytes[i] > '9') break;
    n += (s.bytes[i] - '0') * unit;
    unit /= 10;
  }
  return MIN(n, QUALITY_MAX);
}

static int weight(struct span parameters) {
  while (parameters.len) {
    struct span one = span_trim(span_split(&parameters, ';'));
    if (one.len > 2 && (one.bytes[0] | 0x20) == 'q' && one.bytes[1] == '=')
      return quality_of((struct span){one.bytes + 2, one.len - 2});
  }
  return QUALITY_MAX;
}

static void like(struct liking *l, int rank, int quality, int at) {
  if (rank > l->rank) *l = (struct liking){quality, rank, at};
}

static void note_range(struct span range, int at, struct liking *json, struct liking *text) {
  struct span type = span_trim(span_split(&range, ';'));
  int quality = weight(range);
  bool any = span_equal(type, SPAN("*/*"));
  bool all_json = span_equal_nocase(type, SPAN("application/*")),
       all_text = span_equal_nocase(type, SPAN("text/*"));
  if (any || all_json) like(json, any ? RANK_ANY : RANK_MAJOR, quality, at);
  if (any || all_text) like(text, any ? RANK_ANY : RANK_MAJOR, quality, at);
  if (span_equal_nocase(type, SPAN("application/json"))) like(json, RANK_NAMED, quality, at);
  if (span_equal_nocase(type, SPAN("text/plain"))) like(text, RANK_NAMED, quality, at);
}

bool accept_prefers_json(const struct request *r) {
  struct liking json = {0}, text = {0};
  int at = 0;
  for (size_t i = 0; i < r->field_count; i++) {
    struct span list = r->fields[i].value;
    if (!span_equal(r->fields[i].name, SPAN("accept"))) continue;
    while (list.len) note_range(span_split(&list, ','), at++, &json, &text);
  }
  if (json.quality != text.quality) return json.quality > text.quality;
  bool named_first = text.rank < RANK_NAMED || json.at < text.at;
  return json.quality && json.rank == RANK_NAMED && named_first;
}
