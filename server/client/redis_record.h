// SPDX-License-Identifier: MIT
// What of a channel lies on a Redis server: the names of its keys, the bytes of its events, the positions
// that are ids of its stream there. Pure; any thread.
//
//   <prefix>:{<channel>}:s   a stream: an entry for each event, whose id is <epoch>-<number>
//   <prefix>:{<channel>}:m   a hash: the replication id under which it was written last, its epoch, its end
//   <prefix>:{<channel>}:p   a sorted set: who is a member by which node, and until when
//   <prefix>:{<channel>}:q   a hash: members, and what is to be published when they are gone
//   <prefix>:{<channel>}:n   a hash: how many subscribers each node has
// and of a dictionary:
//   <prefix>:{<dictionary>}:v   a hash: its values, as event/shared_value.h writes them
//   <prefix>:{<dictionary>}:e   a sorted set: those that end, and when, in milliseconds since 1970
// The first is also the name of the (sharded) channel on which it is published.
#pragma once
#include "base/buf.h"
#include "event/sse.h"

enum redis_key {
  REDIS_KEY_STREAM,
  REDIS_KEY_META,
  REDIS_KEY_PRESENT,
  REDIS_KEY_MEMBERS,
  REDIS_KEY_COUNTS,
  REDIS_KEY_VALUES,
  REDIS_KEY_ENDS
};

// Appends the name of a channel's or a dictionary's key. A closing brace in its name would end what a cluster
// goes by: it is written as %7D, and a percent sign as %25.
void record_key(struct buf *b, struct span prefix, struct span name, enum redis_key key);

// Appends an event's bytes.
void record_write(struct buf *b, const struct sse_fields *f, uint64_t key);

// Reads them; the fields point into them. False where they are of a version that is not known, or broken.
bool record_read(struct span bytes, struct sse_fields *f, uint64_t *key);

// Appends the event of a member's coming ("join") or going ("leave"): {"id":...,"meta":...} as its data;
// meta: JSON, or empty.
void record_member(struct buf *b, struct span event, struct span id, struct span meta);

// The id of a position, as Redis has it; and back, false for any other text.
size_t record_id(struct position p, char id[POSITION_TEXT_MAX]);
bool record_position(struct span id, struct position *p);
