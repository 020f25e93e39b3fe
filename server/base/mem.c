// SPDX-License-Identifier: MIT
// There is one answer to a lack of memory, so that no caller has a way of its own that nobody has ever tried.
#include "base/mem.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void *mem_check(void *p, size_t size) {
  if (p || !size) return p;
  fprintf(stderr,
          "spate: out of memory: cannot allocate %zu bytes; `ulimit -v`, or the memory of the machine or "
          "container, is too small for what is served\n",
          size);
  abort();
}

void *xmalloc(size_t size) { return mem_check(malloc(size), size); }

void *xcalloc(size_t count, size_t size) { return mem_check(calloc(count, size), count * size); }

void *xrealloc(void *old, size_t size) { return mem_check(realloc(old, size), size); }

void *xmemdup(const void *bytes, size_t len) {
  void *copy = xmalloc(len ? len : 1);
  return len ? memcpy(copy, bytes, len) : copy;
}

char *xstrdup(const char *text) { return xmemdup(text, strlen(text) + 1); }

char *xstrndup(const char *bytes, size_t len) {
  char *copy = xmalloc(len + 1);
  if (len) memcpy(copy, bytes, len);
  copy[len] = 0;
  return copy;
}

char *xasprintf(const char *format, ...) {
  char *text = NULL;
  va_list args;
  va_start(args, format);
  int len = vasprintf(&text, format, args);
  va_end(args);
  return len < 0 ? mem_check(NULL, 1) : text;
}
