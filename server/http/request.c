// SPDX-License-Identifier: MIT
// What may be asked of a parsed request. Fields stay in the order of arrival and are searched one after the
// other: a request has a dozen, and their number is limited.
#include "http/request.h"
#include <stdlib.h>

static const struct span names[METHOD_COUNT] = {
    [METHOD_GET] = {"GET", 3},         [METHOD_HEAD] = {"HEAD", 4},   [METHOD_POST] = {"POST", 4},
    [METHOD_PUT] = {"PUT", 3},         [METHOD_PATCH] = {"PATCH", 5}, [METHOD_DELETE] = {"DELETE", 6},
    [METHOD_OPTIONS] = {"OPTIONS", 7},
};

struct span method_name(enum method method) {
  return names[method];
}

enum method method_of(struct span name) {
  enum method i = METHOD_GET;
  while (i < METHOD_COUNT && !span_equal(names[i], name)) i++;
  return i;
}

struct span request_field(const struct request *r, struct span name) {
  for (size_t i = 0; i < r->field_count; i++)
    if (span_equal(r->fields[i].name, name)) return r->fields[i].value;
  return (struct span){0};
}

struct request *request_keep(struct request *r) {
  r->borrowers++;
  return r;
}

void request_free(struct request *r) {
  if (r && r->borrowers) r->borrowers--;
  else free(r);
}
