// SPDX-License-Identifier: MIT
// A hash of where it lies and when it began, so that it costs no stream a byte.
#include "serve/stream_id.h"
#include <inttypes.h>
#include <stdio.h>
#include "serve/stream.h"

uint64_t stream_id(const struct stream *s) {
  const struct {
    const struct stream *at;
    double since;
  } parts = {s, s->opened_at};
  uint64_t hash = hash_bytes((struct span){(const char *)&parts, sizeof parts}, stream_service(s)->tags.seed);
  return hash ? hash : 1;
}

void stream_id_text(const struct stream *s, char id[STREAM_ID_MAX]) {
  snprintf(id, STREAM_ID_MAX, "%016" PRIx64, stream_id(s));
}
