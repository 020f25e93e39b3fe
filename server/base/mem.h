// SPDX-License-Identifier: MIT
// Allocation for the small things that a server cannot go on without: a failure logs and aborts. What a
// client or a script can grow has a limit of its own before it gets here.
#pragma once
#include <stddef.h>

// Like malloc, calloc, realloc and memdup, never NULL. Any thread; the caller owns the result and frees it.
void *xmalloc(size_t size);
void *xcalloc(size_t count, size_t size);
void *xrealloc(void *old, size_t size);
void *xmemdup(const void *bytes, size_t len);

// What some other allocator has made of so many bytes, which is treated in the same way.
void *mem_check(void *p, size_t size);

// A NUL-terminated copy of `text` or of the first `len` bytes. Any thread; the caller frees it.
char *xstrdup(const char *text);
char *xstrndup(const char *bytes, size_t len);

// A formatted string. Any thread; the caller frees it.
char *xasprintf(const char *format, ...) __attribute__((format(printf, 1, 2)));
