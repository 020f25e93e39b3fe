// SPDX-License-Identifier: MIT
// What nghttp2 reads of a stream's body when it makes a frame of it.
#pragma once
#include "http/http2_session.h"

// nghttp2_data_source_read_callback of a struct http2_stream.
ssize_t http2_read(nghttp2_session *session, int32_t id, uint8_t *into, size_t len, uint32_t *flags,
                   nghttp2_data_source *source, void *user);
