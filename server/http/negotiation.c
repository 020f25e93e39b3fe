// SPDX-License-Identifier: MIT
// Each of two media types has the quality of the range that matches it best. Ranges that are malformed match
// nothing, and a quality that is none takes no type away: a client that says nothing we understand gets text.
// A coding is used only where the client has asked for it in words that we understand.
#include "http/negotiation.h"
#include "base/util.h"

enum { QUALITY_MAX = 1000, RANK_ANY = 1, RANK_MAJOR, RANK_NAMED, UNNAMED = -1 };

// The quality behind an item's name, in thousandths: "q=0.25" is 250, what is above 1 counts as 1, none as
// well. What is none although it is called one is `malformed`.
static int quality_of(struct span parameters, int malformed) {
  while (parameters.len) {
    struct span p = span_trim(span_split(&parameters, ';'));
    if (p.len < 3 || (p.bytes[0] | 32) != 'q' || p.bytes[1] != '=') continue;
    int quality = 0, unit = QUALITY_MAX;
    for (size_t i = 2; i < p.len && unit; i++) {
      if (i == 3 && p.bytes[i] == '.') continue;
      if (p.bytes[i] < '0' || p.bytes[i] > '9') return malformed;
      quality += (p.bytes[i] - '0') * unit;
      unit /= 10;
    }
    return MIN(quality, QUALITY_MAX);
  }
  return QUALITY_MAX;
}

struct liking {
  int quality; // in thousandths
  int rank;    // how closely the range matches; 0: none does
  int at;      // which range of the list
};

static void like(struct liking *l, int rank, int quality, int at) {
  if (rank > l->rank) *l = (struct liking){quality, rank, at};
}

static void note_range(struct span range, int at, struct liking *json, struct liking *text) {
  struct span type = span_trim(span_split(&range, ';'));
  int quality = quality_of(range, QUALITY_MAX);
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

static void list_read(struct span list, int weights[ENCODING_COUNT], int *others) {
  while (list.len) {
    struct span item = span_split(&list, ',');
    struct span name = span_trim(span_split(&item, ';'));
    int weight = quality_of(item, 0);
    if (span_equal_nocase(name, SPAN("br"))) weights[ENCODING_BR] = weight;
    else if (span_equal_nocase(name, SPAN("gzip"))) weights[ENCODING_GZIP] = weight;
    else if (span_equal_nocase(name, SPAN("x-gzip"))) weights[ENCODING_GZIP] = weight;
    else if (span_equal_nocase(name, SPAN("identity"))) weights[ENCODING_IDENTITY] = weight;
    else if (span_equal(name, SPAN("*"))) *others = weight;
  }
}

size_t encoding_preferred(const struct request *r, enum encoding out[ENCODING_COUNT]) {
  int weights[ENCODING_COUNT] = {UNNAMED, UNNAMED, UNNAMED}, others = 0;
  size_t n = 0;
  for (size_t i = 0; i < r->field_count; i++)
    if (span_equal(r->fields[i].name, SPAN("accept-encoding")))
      list_read(r->fields[i].value, weights, &others);
  for (enum encoding e = ENCODING_BR; e < ENCODING_COUNT; e++)
    if (weights[e] == UNNAMED) weights[e] = others;
  for (enum encoding e = ENCODING_BR; e < ENCODING_COUNT; e++)
    if (weights[e] > 0 && weights[e] >= weights[ENCODING_IDENTITY]) out[n++] = e;
  if (n == 2 && weights[ENCODING_GZIP] > weights[ENCODING_BR]) out[0] = ENCODING_GZIP, out[1] = ENCODING_BR;
  return n;
}

bool encoding_takes_gzip(const struct request *r) {
  enum encoding preferred[ENCODING_COUNT];
  size_t n = encoding_preferred(r, preferred);
  for (size_t i = 0; i < n; i++)
    if (preferred[i] == ENCODING_GZIP) return true;
  return false;
}
