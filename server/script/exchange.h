// SPDX-License-Identifier: MIT
// A request as Lua holds it: the tie between a stream below and a task and a userdata above. It lives while
// one of stream and userdata does. Worker thread only.
#pragma once
#include <lua.h>
#include <stdbool.h>
#include "base/list.h"
#include "script/held.h"
#include "script/task.h"
#include "serve/stream.h"

struct form;
struct vm;

struct exchange {
  struct stream *stream;   // NULL once it is gone
  struct request *request; // for as long as someone may ask: the stream, the task, on_close functions
  struct vm *vm;
  struct task *task;        // that answers; NULL once it has ended
  struct held held;         // by the userdata, from when that is made until it is collected
  struct waitlist waiting;  // for the body or for room to send
  struct list files;        // listed files, opened for the answer
  struct list closing_link; // in vm.closing, until the task of its on_close functions starts
  int anchor;               // registry reference to the userdata while on_close functions wait in it
  enum close_reason reason; // once gone
  bool detached;            // the stream goes on without the task
  bool closing;             // on_close functions run, or are to
  bool finishes;            // the library sees the reply before it is sent
  int route;                // of the application, or what core.answer is told instead
  unsigned allowed;
  struct form *form; // a form that came in parts, for as long as the request
};

// service_ops.on_request: routes the request and starts a task that answers it with vm's application.
void exchange_begin(struct vm *vm, struct stream *stream);

// Starts the on_close functions of those exchanges that have ended since the last time; or forgets them,
// where the state ends.
void exchange_start_closers(struct vm *vm);
void exchange_forget_closers(struct vm *vm);

// Streams of a retired state that go on without Lua are let go of: they outlive it.
void exchange_let_go_all(struct vm *vm);

// Pushes the userdata of an exchange; once, in its task.
void exchange_push(lua_State *L, struct exchange *ex);

// The exchange in a request's userdata; NULL where that has been collected.
struct exchange *exchange_in(struct held *const *box);

// The exchange of the request at `index`; raises where it is none.
struct exchange *exchange_check(lua_State *L, int index);

// The same, NULL where the exchange is over, with `nil, "closed"` pushed.
struct exchange *exchange_open(lua_State *L, int index);

// Registers the metatable of requests, and leaves its `methods` table on the stack.
void request_open(lua_State *L);

// Suspends the calling task until the exchange wakes its waiters.
int exchange_wait(lua_State *L, struct exchange *ex, const char *what, lua_KContext context, lua_KFunction k);

// Pushes a new metatable for requests' userdata.
void request_box_meta(lua_State *L);

// core.go_on(req, fn, ...): fn goes on with the answer in a task of its own, whose coroutine has not grown
// with what the handler called; the present task is done with it.
int core_go_on(lua_State *L);

// Has another task, which has just been made, go on with the answer: the present one is done with it.
void exchange_hand_on(struct exchange *ex, struct task *t);

// core.closers(req): the list of functions given to on_close, or nil.
int request_closers(lua_State *L);

// In spate dev: whether this client may see what has failed, source included: one on this machine that calls
// the server by a name of the machine's own, also to a proxy, or that has come by a UNIX socket.
bool exchange_shows_errors(const struct exchange *ex);
