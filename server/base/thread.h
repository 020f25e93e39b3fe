// SPDX-License-Identifier: MIT
// Threads, whose stacks are large enough for Lua.
#pragma once
#include <pthread.h>

// Starts one with a stack that nested coroutine.close does not overflow. 0, or an error number.
int thread_start(pthread_t *thread, void *(*main)(void *arg), void *arg);
