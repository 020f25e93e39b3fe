// SPDX-License-Identifier: MIT
// A coroutine that the server runs: a request's handler, a spawned function. It is resumed from the run queue
// only; whoever wakes it just links it there. Worker thread only.
#pragma once
#include <lua.h>
#include "base/list.h"
#include "loop/timer.h"

struct vm;
struct task;
struct exchange;
struct log_line;

enum task_state { TASK_READY, TASK_RUNNING, TASK_WAITING };

// A coroutine inside a task whose waiting passes outwards to the task (sse.wrap).
struct wrap {
  lua_State *co;
  struct wrap *outer;
};

// Tasks that wait for one thing: whoever has news of it wakes them all, and they look for themselves.
struct waitlist {
  struct list tasks;
};

// What a script holds of a task.
struct task_handle {
  struct task *task;      // NULL once it has ended
  struct waitlist *ended; // woken then, in its user value; or NULL
};

// What the one who has begun a task wants to know of it. Each may be NULL.
struct task_ops {
  // LUA_OK, LUA_YIELD: cancelled, or an error, its message on t->co.
  void (*on_end)(struct task *t, int status);
  // An error has ended it since it is behind what it reads. True where its client has been cut for that: the
  // error is not logged.
  bool (*on_behind)(struct task *t);
  // Adds to the line of the log that says which error has ended it. Does not raise.
  void (*add_fields)(const struct task *t, struct log_line *line);
};

// Embedded in what is to end with the task that has begun it, where that is cancelled or fails.
struct tie {
  struct list link;             // in the task's; in no list once that has ended
  void (*cut)(struct tie *tie); // behind the task's <close> variables; does not enter Lua
};

struct task {
  struct vm *vm;
  lua_State *co; // NULL while a repeated function waits to be called
  int co_ref;
  int fn_ref; // registry reference to that function, or LUA_NOREF
  struct list run_link, all_link;
  struct list wait_link; // in the waitlist of whatever it waits for
  struct list ties;
  struct timer timer;
  double again_at; // when it is called again, once it has returned; < 0: never
  double woken_at; // the deadline of the timer that woke it; < 0: something else did
  uint8_t state, nargs;
  bool cancelled, closing; // to be ended at its wait; its <close> variables run
  bool waiting;            // a yield that is a wait, not a value
  bool must_start;         // runs up to its first wait even where it is cancelled before
  bool is_starter;         // an on_start function
  bool is_stopper;         // an on_stop function
  bool is_bound;           // ends with its generation
  bool holds_state;        // which is kept for it
  bool stopped;            // its time was up
  bool timed_out;
  bool of_app; // the application's or the library's own, such as sse.every: not what a request has spawned
  struct wrap *wrap;          // the innermost that runs
  struct exchange *exchange;  // of a request's task
  struct task_handle *handle; // a script's, or NULL
  const struct task_ops *ops; // of whoever has begun it, or NULL
};

// A task for the function under `nargs` arguments on top of L, which are popped. Call inside protection:
// raises on lack of memory or above limits.tasks.
struct task *task_spawn(lua_State *L, int nargs, const struct task_ops *ops);

// The same for one that goes on with what another began, or cleans up behind it: limits.tasks, which has let
// the first in, does not refuse it.
struct task *task_follow(lua_State *L, int nargs, const struct task_ops *ops);

// A task for a C function that gets a light userdata; call outside of Lua. NULL on lack of memory.
struct task *task_start(struct vm *vm, lua_CFunction fn, void *arg, const struct task_ops *ops);

// A task that calls the function on top of L, which is popped, without arguments once the deadline has
// passed, and again where that asks for it by task_again. Meanwhile it has no coroutine. Raises on lack of
// memory.
struct task *task_repeat(lua_State *L, double deadline);

// Has the function that runs in such a task be called at the deadline once more. Returns what that function
// is to return then.
int task_again(struct task *t, double deadline);

// Has the handle at `index` of L belong to a task that was spawned just now, and live as long.
void task_hold(struct task *t, lua_State *L, int index);

// Ties something to a task; moves what is tied to another one that goes on in its place.
static inline void task_tie(struct task *t, struct tie *tie) { list_append(&t->ties, &tie->link); }
static inline void task_move_ties(struct task *from, struct task *to) { list_splice(&to->ties, &from->ties); }

// Cuts those of a task that goes on behind an error which has been caught.
void task_cut_ties(struct task *t);

// Has a retired state be kept until the task has ended, as it is for requests.
void task_hold_state(struct task *t);

// Links a waiting task into the run queue; harmless in any other state.
void task_wake(struct task *t);

// Ends a task at its wait, or at its next one where it runs now: <close> variables run, pcall does not stop
// it.
void task_cancel(struct task *t);

// Cancels those that end with their generation, the on_stop functions, or those that a retired state is kept
// for.
void task_cancel_bound(struct vm *vm);
void task_cancel_stoppers(struct vm *vm);
void task_cancel_holding(struct vm *vm);

// Cancels all tasks of a state, which end in their turn; or ends them at once, for the state's end.
void task_cancel_each(struct vm *vm);
void task_cancel_all(struct vm *vm);

// Runs the tasks that were ready at the start of the turn. True: there are more.
bool task_run_queue(struct vm *vm);

// The task that L runs in, able to wait here; raises at the user's line where `what` cannot wait, and why.
struct task *task_check(lua_State *L, const char *what);

// Whether task_check would let it.
bool task_can_wait(lua_State *L);

// Yields until the task is woken or the deadline (INFINITY: none) has passed; t->timed_out tells. The last
// thing a C function does; `k` builds its results.
int task_wait(lua_State *L, struct task *t, double deadline, lua_KContext context, lua_KFunction k);

// The same in a waitlist, which lives for as long as tasks wait in it.
int task_wait_in(lua_State *L, struct task *t, struct waitlist *w, double deadline, lua_KContext context,
                 lua_KFunction k);

static inline void waitlist_init(struct waitlist *w) { list_init(&w->tasks); }

// Wakes all that wait now. Outside of Lua as well as in it: it only links.
void waitlist_wake_all(struct waitlist *w);

// The time that a sleep of the task counts from: when it should have woken, while that is less than `seconds`
// ago, so that a loop of sleeps keeps its rate; now, where the task has blocked the worker since.
double task_time(const struct task *t, double seconds);

// The time now, for a task that waits or returns right behind it: nobody need look at the clock once more.
double task_look(const struct task *t);
