// SPDX-License-Identifier: MIT
// A kernel that refuses: what a machine would have to be short of memory, threads or watches for.
#pragma once

// The calls of two numbers, the first of them only where that argument has `value` in the bits of `mask`; 0:
// all.
struct refused {
  long call, other;
  unsigned argument, mask, value; // arguments count from 0
};

// Runs fn(arg) on a thread in which these system calls fail with `error`, and waits for its end. 0, or -1
// where that cannot be done.
int refusal_run(struct refused what, int error, void (*fn)(void *arg), void *arg);
