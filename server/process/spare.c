// SPDX-License-Identifier: MIT
// malloc returns by itself only what lies at the end of a heap, so that a few small pieces behind it keep
// hundreds of MB. Nothing is counted for this where memory is freed: what is resident and not allocated is
// known at any time, within what the program, stacks and holes between pieces take. That is what is left when
// all that can be has been given back, so more than that is spare.
#include "process/spare.h"
#include <malloc.h>
#include "base/log.h"
#include "base/util.h"
#include "serve/process_figures.h"

static const double MUCH = 32 << 20, REST_AT_FIRST = 16 << 20, MB = 1 << 20;

static double unallocated(double resident) {
  struct mallinfo2 m = mallinfo2();
  return MAX(resident - (double)m.uordblks - (double)m.hblkhd, 0.0);
}

void spare_give_back(struct spare *s) {
  double before = process_resident(), much = MAX(s->rest, REST_AT_FIRST) + MUCH;
  if (before < much || unallocated(before) < much) return;
  malloc_trim(0);
  double after = process_resident();
  s->rest = unallocated(after);
  log_message(LOG_DEBUG, "memory: %.0f MB that nothing uses are given back", MAX(before - after, 0.0) / MB);
}
