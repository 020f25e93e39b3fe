// SPDX-License-Identifier: MIT
// What nghttp2 tells of a client's frames.
#pragma once
#include "http/http2_session.h"

// The callbacks of every session, whose user data is its struct http2; the caller's to free.
nghttp2_session_callbacks *http2_callbacks(void);

// A frame of the client's has begun, of which the session knows nothing yet.
void http2_frame_begins(struct http2 *h);

// What an error of mem_recv or mem_send means to the connection.
void http2_failed(struct http2 *h, int error);

// Notes it where there is little room for bodies, before some of them are given back.
void http2_note_crowd(struct http2 *h);

// Gives back what the windows lack of a stream of which nothing more is read.
void http2_leave_unread(struct http2 *h, struct http2_stream *s);

// Frees what is kept of a stream, which neither nghttp2 nor the connection mentions again.
void http2_stream_free(struct http2_stream *s);
