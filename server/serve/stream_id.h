// SPDX-License-Identifier: MIT
// The name by which a stream is found, which is its span's in a trace as well.
#pragma once

struct stream;

enum { STREAM_ID_MAX = 17 };

// So many hex digits, which nobody can guess, and NUL. Worker thread only.
void stream_id_text(const struct stream *s, char id[STREAM_ID_MAX]);
