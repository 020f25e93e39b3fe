// SPDX-License-Identifier: MIT
// Heads of answers, as HTTP/2 has them.
#pragma once
#include "http/http2_session.h"

// Submits the head of an answer to `s`; `has_body`: what http2_read then reads follows.
void http2_submit_head(struct http2 *h, struct http2_stream *s, const struct response *r, bool has_body);

// Answers a request that is none; `why` is its body, static.
void http2_decline(struct http2 *h, struct http2_stream *s, struct refusal refusal);

// An interim answer, such as 100.
void http2_submit_interim(struct http2 *h, struct http2_stream *s, int status);
