// SPDX-License-Identifier: MIT
// What of a file goes into an answer: its pieces, the text between them, and how far sending has come. Worker
// thread only.
#pragma once
#include <sys/types.h>
#include "base/buf.h"
#include "http/range.h"

struct conn;
struct file_body;

enum file_progress {
  FILE_ALL_SENT,
  FILE_MORE,    // the turn's share has been sent
  FILE_BLOCKED, // the client takes no more now
  FILE_SHORT,   // the file ends before it should: less can be sent than has been announced
  FILE_GONE     // the connection is broken
};

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

// Sends what the client takes, no more than one turn's share; how many bytes that was in *taken.
enum file_progress file_body_send(struct file_body *b, struct conn *c, size_t *taken);
