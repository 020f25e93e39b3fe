// SPDX-License-Identifier: MIT
// What of a file goes into an answer: its pieces, the text between them, and how far sending has come. Worker
// thread only.
#pragma once
#include <sys/types.h>
#include "base/buf.h"
#include "http/range.h"

struct event;
struct outq;
struct file_body;

// A body of these ranges of an open file (takes `fd`): one range bare, several as multipart/byteranges with
// this boundary, the file's type and size.
struct file_body *file_body_new(int fd, const struct byte_range *ranges, size_t count, struct span boundary,
                                struct span type, uint64_t size);
void file_body_free(struct file_body *b); // NULL is allowed

// Bytes still to come.
uint64_t file_body_left(const struct file_body *b);

// Takes up to `max` bytes from the front into memory. Their number, or -1 where the file has less than it
// should.
ssize_t file_body_read(struct file_body *b, char *into, size_t max);

// The same as an event, of one turn's share; NULL likewise.
struct event *file_body_event(struct file_body *b);

// Adds a share of what is next to `out`, which holds no memory yet, and stays as it is until file_body_leave.
// False while something is in flight.
bool file_body_take(struct file_body *b, struct outq *out);
bool file_body_in_flight(const struct file_body *b);

// So many bytes in flight have left.
void file_body_leave(struct file_body *b, size_t len);
