// SPDX-License-Identifier: MIT
// All connections of a worker. Worker thread only.
#pragma once
#include "serve/service.h"

struct transport;

// Hooks the writing to the service's loop, once per turn: what wakes tasks is to be hooked before.
void connections_init(struct service *s);

// Cuts every connection; their streams end with `shutdown`.
void connections_close(struct service *s);

// Lets go of the loop, once every connection has been cut.
void connections_deinit(struct service *s);

// Takes a connected transport into service, or where there are too many tells its peer so.
void connections_accept(struct service *s, struct transport *t);

// Tells the peer that there are too many connections, and closes at once.
void connections_turn_away(struct service *s, struct transport *t);

// Closes idle connections now, plain requests after their answer, and streams one after the other over
// settings.shutdown.window seconds, each with a jittered `retry:` and a clean end.
void connections_drain(struct service *s);

// Ends in the same time the streams that code of up to this generation has opened, and at once those that it
// will open: event streams with a clean end, others are cut.
void connections_leave_generation(struct service *s, unsigned generation);

// What has been queued in this turn goes before what others get, as these streams are to end at once.
void connections_hasten(struct service *s);

// Calls fn for each stream; it ends none.
void connections_each_stream(struct service *s, void (*fn)(struct stream *stream, void *arg), void *arg);
