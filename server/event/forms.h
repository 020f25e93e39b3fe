// SPDX-License-Identifier: MIT
// An event's other encodings, each made where it is first wanted and shared by all who want it from then on:
// events themselves, of blocks of a deflate stream.
#pragma once
#include "event/compressor.h"
#include "event/event.h"

// Gives the event its place in a channel's deflate stream; with the channel's lock held, before anybody else
// has the event.
void forms_place(struct event *e, struct compressor *c);

// The event compressed by itself, which any reader can take behind any block. A reference for the caller.
// `alone`: the thread's own.
struct event *forms_alone(struct event *e, struct deflater *alone);

// The event in its channel's stream, for who has all of that from `run_from` on, which is not behind the
// event's place; NULL where there is none for him. A reference for the caller. Any thread.
struct event *forms_shared(struct event *e, uint64_t run_from, double now);

// These blocks as an event.
struct event *forms_event(struct span blocks);
