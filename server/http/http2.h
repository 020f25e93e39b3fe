// SPDX-License-Identifier: MIT
// HTTP/2 (RFC 9113) by nghttp2: many streams on one connection.
#pragma once
#include "http/proto.h"

// Waits for a client's preface. The sink and the limits are borrowed; free with ops->free. NULL where the
// program was built without nghttp2.
struct proto *http2_new(const struct proto_sink *sink, const struct proto_limits *limits);

// Whether a connection begins as one of HTTP/2 does, as far as it is known; never where there is no nghttp2.
enum preface { PREFACE_NONE, PREFACE_PART, PREFACE_WHOLE };
enum preface http2_preface(struct span bytes);

// The version that runs, static; NULL without.
const char *http2_library_version(void);
