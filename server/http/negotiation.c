// SPDX-License-Identifier: MIT
// Each of two media types has the quality of the range that matches it best. Ranges that are malformed match
// nothing, and a quality that is none takes no type away: a client that says nothing we understand gets text.
// A coding is used only where the client has asked for it in words that we understand.
#include "http/negotiation.h"
#include "base/digits.h"
#include "base/util.h"

enum { QUALITY_MAX = 1000, RANK_ANY = 1, RANK_MAJOR, RANK_NAMED, UNNAMED = -1 };

// "0.25" is 250, what is above 1 counts as 1.
static int quality_read(struct span digits, int malformed) {
  int quality = 0, unit = QUALITY_MAX;
  for (size_t i = 0; i < digits.len && unit; i++) {
    if (i == 1 && digits.bytes[i] == '.') continue;
    if (!is_digit(digits.bytes[i])) return malformed;
    quality += (digits.bytes[i] - '0') * unit;
    unit /= 10;
  }
  return digits.len ? MIN(quality, QUALITY_MAX) : malformed;
}

// The quality behind an item's name, in thousandths; where there is none it is the greatest. What is none
// although it is called one is `malformed`.
static int quality_of(struct span parameters, int malformed) {
  while (parameters.len) {
    struct span p = span_trim(span_split(&parameters, ';'));
    if (span_starts_with_nocase(p, SPAN("q="))) return quality_read(span_behind(p, 2), malformed);
  }
  return QUALITY_MAX;
}

struct liking {
  int quality;   // in thousandths
  int rank;      // how closely the range matches; 0: none does
  bool is_first; // it is named, and the other was not named before
};

static void like(struct liking *l, int rank, int quality, const struct liking *other) {
  bool is_first = rank == RANK_NAMED && other->rank < RANK_NAMED;
  if (rank > l->rank) *l = (struct liking){quality, rank, is_first};
}

static void note_range(struct span range, struct liking *json, struct liking *text) {
  struct span type = span_trim(span_split(&range, ';'));
  int quality = quality_of(range, QUALITY_MAX);
  if (span_equal(type, SPAN("*/*"))) like(json, RANK_ANY, quality, text), like(text, RANK_ANY, quality, json);
  else if (span_equal_nocase(type, SPAN("application/*"))) like(json, RANK_MAJOR, quality, text);
  else if (span_equal_nocase(type, SPAN("text/*"))) like(text, RANK_MAJOR, quality, json);
  else if (span_equal_nocase(type, SPAN("application/json"))) like(json, RANK_NAMED, quality, text);
  else if (span_equal_nocase(type, SPAN("text/plain"))) like(text, RANK_NAMED, quality, json);
}

bool accept_prefers_json(const struct request *r) {
  struct liking json = {}, text = {};
  for (size_t i = 0; i < r->field_count; i++) {
    struct span list = r->fields[i].value;
    if (span_equal(r->fields[i].name, SPAN("accept")))
      while (list.len) note_range(span_split(&list, ','), &json, &text);
  }
  if (json.quality == text.quality) return json.quality && json.is_first;
  return json.quality > text.quality;
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

static void read_weights(const struct request *r, int weights[ENCODING_COUNT]) {
  int others = 0;
  for (enum encoding e = ENCODING_IDENTITY; e < ENCODING_COUNT; e++) weights[e] = UNNAMED;
  for (size_t i = 0; i < r->field_count; i++)
    if (span_equal(r->fields[i].name, SPAN("accept-encoding")))
      list_read(r->fields[i].value, weights, &others);
  for (enum encoding e = ENCODING_BR; e < ENCODING_COUNT; e++)
    if (weights[e] == UNNAMED) weights[e] = others;
}

static bool is_wanted(const int weights[ENCODING_COUNT], enum encoding e) {
  return weights[e] > 0 && weights[e] >= weights[ENCODING_IDENTITY];
}

size_t encoding_preferred(const struct request *r, enum encoding out[ENCODING_COUNT]) {
  int weights[ENCODING_COUNT];
  size_t n = 0;
  read_weights(r, weights);
  bool gzip_first = weights[ENCODING_GZIP] > weights[ENCODING_BR];
  enum encoding best = gzip_first ? ENCODING_GZIP : ENCODING_BR;
  enum encoding other = gzip_first ? ENCODING_BR : ENCODING_GZIP;
  if (is_wanted(weights, best)) out[n++] = best;
  if (is_wanted(weights, other)) out[n++] = other;
  return n;
}

bool encoding_takes_gzip(const struct request *r) {
  int weights[ENCODING_COUNT];
  read_weights(r, weights);
  return is_wanted(weights, ENCODING_GZIP);
}
