// SPDX-License-Identifier: MIT
#include "http/encoding.h"
#include "base/util.h"

enum { UNNAMED = -1, FULL = 1000 };

// The weight of an item behind its name, in thousandths: 1000 without one, 0 for one that is none.
static int weight_read(struct span parameters) {
  while (parameters.len) {
    struct span p = span_trim(span_split(&parameters, ';'));
    if (p.len < 3 || (p.bytes[0] | 32) != 'q' || p.bytes[1] != '=') continue;
    int weight = 0, unit = FULL;
    for (size_t i = 2; i < p.len && unit; i++) {
      if (i == 3 && p.bytes[i] == '.') continue;
      if (p.bytes[i] < '0' || p.bytes[i] > '9') return 0;
      weight += (p.bytes[i] - '0') * unit;
      unit /= 10;
    }
    return MIN(weight, FULL);
  }
  return FULL;
}

static void list_read(struct span list, int weights[ENCODING_COUNT], int *others) {
  while (list.len) {
    struct span item = span_split(&list, ',');
    struct span name = span_trim(span_split(&item, ';'));
    int weight = weight_read(item);
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
