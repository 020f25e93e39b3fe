// SPDX-License-Identifier: MIT
// The name by which a stream is found, which is its span's in a trace as well.
#pragma once
#include <stdint.h>

struct stream;

enum { STREAM_ID_MAX = 17 };

// What nobody can guess, and its hex digits with NUL. Worker thread only.
uint64_t stream_id(const struct stream *s);
void stream_id_text(const struct stream *s, char id[STREAM_ID_MAX]);
