// SPDX-License-Identifier: MIT
// Ends what runs for too long without waiting. No permanent hook: that would double the cost of all Lua code.
#pragma once
#include <lua.h>
#include <pthread.h>

struct loop;
struct settings;
struct vm;

// Watches the calling thread: a timer of its CPU time sends it a signal for each part of limits.burst that it
// has used, and a slice that sees several of them is expired.
void watchdog_start(const struct settings *settings);

// Ends the watch of the calling thread.
void watchdog_stop(void);

// The calling thread enters this state now; it is done with it, and another thread may have it.
void watchdog_enter(struct vm *vm);
void watchdog_forget(const struct vm *vm);

// Has the line noted that the calling thread's script is in, once it can be asked for that. In a signal
// handler as well.
void watchdog_look(void);

// The same of a thread that watchdog_start has been called on. Calls that know no restart, such as poll(2),
// end early there. Any thread.
void watchdog_look_at(pthread_t thread);

// The place that was noted in the present turn of the calling thread's loop, "file:line" and what was called
// there; empty where none was. Borrowed until the next turn.
const char *watchdog_place(const struct loop *loop);

// Has `L` stopped at one of its next instructions.
void watchdog_plant(lua_State *L);

// Takes back what an earlier slice has left planted.
void watchdog_clear(lua_State *L);
