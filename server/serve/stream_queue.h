// SPDX-License-Identifier: MIT
// What stream.c and stream_queue.c have of each other.
#pragma once
#include "serve/conn.h"
#include "serve/stream.h"

static inline struct service *stream_service(const struct stream *s) { return s->conn->service; }

// Queues bytes that are no event (takes the reference) for the end of this turn.
void stream_enqueue(struct stream *s, struct event *e);

// Lets go of the queue; the stream ends.
void stream_drop_queue(struct stream *s);

// Arms the timer where something could be due before it fires.
void stream_watch(struct stream *s);
