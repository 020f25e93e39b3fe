// SPDX-License-Identifier: MIT
// A kernel that refuses: what a machine would have to be short of memory, threads or watches for.
#pragma once

// Runs fn(arg) on a thread in which the system calls `call` and `other` fail with `error`, and waits for its
// end. 0, or -1 where that cannot be done.
int refusal_run(long call, long other, int error, void (*fn)(void *arg), void *arg);
