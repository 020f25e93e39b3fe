// SPDX-License-Identifier: MIT
// An io_uring that carries sends which never wait: each is over when the one call that hands them to the
// kernel returns. The thread that made it only.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <sys/uio.h>

enum { RING_SENDS_MAX = 1024 };

struct ring;

// NULL where there can be none; then `*why` says it in words, static. Otherwise it has shown that it tells of
// every send that was cut short.
struct ring *ring_new(const char **why);
void ring_free(struct ring *r);

// Notes a send that ring_enter begins. `number` counts the sends since the last enter, from 0, and there are
// RING_SENDS_MAX at most. The pieces, and what is in them, stay as they are until then.
void ring_send(struct ring *r, unsigned number, int fd, struct iovec *iov, size_t count);

// Has nothing be sent for one that was noted; its result becomes 0.
void ring_leave_out(struct ring *r, unsigned number);

// Sends what was noted, by one call. results[number] becomes the bytes that have left, or a negative errno,
// of each that has not left whole; the others' stay. Returns how many of them, from the first, the kernel has
// taken; where that is less than all the ring is of no more use.
unsigned ring_enter(struct ring *r, int results[]);

// The version of the library that it was built with, static; NULL: built without one.
const char *ring_library_version(void);
