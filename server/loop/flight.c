// SPDX-License-Identifier: MIT
// The pieces of an outq outlast it here, and shrink from their front.
#include "loop/flight.h"
#include <string.h>
#include "base/mem.h"

void flight_skip(struct flight *f, size_t n) {
  f->len -= n, f->offset += n;
  for (; f->at < f->count && n >= f->iov[f->at].iov_len; f->at++) n -= f->iov[f->at].iov_len;
  if (f->at == f->count) return;
  f->iov[f->at].iov_base = (char *)f->iov[f->at].iov_base + n;
  f->iov[f->at].iov_len -= n;
}

struct flight *flight_new(const struct iovec *iov, int count, size_t len) {
  struct flight *f = xmalloc(sizeof *f + (size_t)count * sizeof *iov);
  *f = (struct flight){.count = count, .len = len};
  memcpy(f->iov, iov, (size_t)count * sizeof *iov);
  return f;
}
