// SPDX-License-Identifier: MIT
// What a Redis server replies of a channel's past: the newest id, then ids and events by turns. Any thread.
#pragma once
#include "client/redis_reader.h"
#include "client/redis_record.h"
#include "event/channel.h"

// The position at a place of the reply; false where none is.
bool page_position(const redisReply *page, size_t i, struct position *at);

// How many events it has.
size_t page_count(const redisReply *page);

// The i-th with one reference; false where it is none.
bool page_event(const redisReply *page, size_t i, const char *channel, struct event **e);

// An event out of its bytes there. One of another version is left out: a comment has its place.
struct event *page_decode(struct span bytes, struct position at, const char *channel);

// Whether what was read from a position on begins there: with that event, or with what directly follows it.
// {0}: before the first.
bool page_goes_on(struct position from, struct position first);
