// SPDX-License-Identifier: MIT
// Another server's answer as Lua holds it: a fetch, and what has come of its body and is not read. It is what
// spate.http is made of in Lua, and what C takes a fetch out of to pass it on.
#pragma once
#include <lua.h>
#include "client/fetch.h"
#include "script/held.h"
#include "script/task.h"

struct vm;

struct upstream {
  struct held held;
  struct fetch_sink sink;
  struct fetch *fetch; // NULL once it is closed, read to its end, or taken
  struct vm *vm;
  struct tie tie; // to the task that has asked
  struct waitlist waiting;
  struct buf body;
  bool is_read; // to its end
};

// The response at `index`; raises where it is none.
struct upstream *upstream_check(lua_State *L, int index);

// Takes the fetch out of it, with what it has of the body (`body` is the caller's then): the caller sets
// f->sink. NULL where it is closed, or read to its end.
struct fetch *upstream_take(struct upstream *r, struct buf *body);

// Asks, and pushes the response; nil, message and code where too many do. The calling task, which can wait,
// has it.
int upstream_begin(lua_State *L, struct task *t, const struct fetch_request *request);

// Reads into a request what the table at `index` says of how long it may take, of TLS and sockets; borrowed
// from the table.
void upstream_read_options(lua_State *L, int index, struct fetch_request *request);

// Whether its head has not come; waits for news of it, as the last thing that a function of Lua's does;
// pushes what is at its end: nil, of a failure with message and code.
bool upstream_awaits_head(const struct upstream *r);
int upstream_await(lua_State *L, struct upstream *r, const char *what, lua_KFunction k);
int upstream_push_end(lua_State *L, const struct upstream *r);

// Adds to the table on top of the stack:
//   http_begin(options)     asks; a response. nil, message and code where too many do
//   http_head(response)     waits for the status, and returns it; nil, message and code
//   http_fields(response)   the fields in a flat list, once the head is there
//   http_facts(response)    the version of HTTP, and lines "Name:value" of the server's certificate, empty
//                           where none was wanted, or is there; nothing once it is closed, or read
//   http_read(response)     waits for more of the body: its bytes, nil at its end; nil, message and code
//   http_awaits_head(response)
//                           whether that has not come, nor anything failed
//   http_send(response, bytes)
//                           sends more of the body, and waits for room; false once the answer has ended
//   http_send_end(response) that was all
//   http_send_no_more(response)
//                           that was not all, but the answer is no longer to wait for more
//   http_close(response)
void http_open(lua_State *L);
