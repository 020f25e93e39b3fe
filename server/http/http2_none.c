// SPDX-License-Identifier: MIT
// Stands in for HTTP/2 where the program is built without nghttp2: no connection begins as one of it.
#include <stdlib.h>
#include "http/http2.h"

struct proto *http2_new(const struct proto_sink *sink, const struct proto_limits *limits) {
  (void)sink, (void)limits;
  return NULL;
}

enum preface http2_preface(struct span bytes) {
  (void)bytes;
  return PREFACE_NONE;
}

const char *http2_library_version(void) { return NULL; }
