// SPDX-License-Identifier: MIT
// The module that spate.test and the project's own specs stand on.
#pragma once

struct lua_State;

// require "spate.harness"
__attribute__((visibility("default"))) int luaopen_spate_harness(struct lua_State *L);

// Adds to the module on top of the stack `watch` and `execute`, for what running specs again after a save
// takes: word of the save, and a process for the run.
void rerun_open(struct lua_State *L);

// Adds `loop`, which makes a loop that polls, for what a server in memory does without: watches, and what
// comes from other threads.
void loop_probe_open(struct lua_State *L);
void crowd_probe_open(struct lua_State *L);

// Adds `refused`, which runs a function where the kernel refuses something.
void refusal_open(struct lua_State *L);

// Adds `hpack`, where there is nghttp2, which makes a reader of compressed heads.
void hpack_open(struct lua_State *L);

// Adds `turns`, which makes a loop without descriptors, its hooks and its timers.
void turn_probe_open(struct lua_State *L);

// Adds what asks a control socket and what answers there, `signals` and `setenv`.
void control_probe_open(struct lua_State *L);

// Adds `pool`, which makes a pool of threads, and a loop that their work comes home to.
void pool_probe_open(struct lua_State *L);

// Adds `parse_events`, which reads an event stream.
void event_probe_open(struct lua_State *L);
void inflate_probe_open(struct lua_State *L);

// What this process has allocated. `harness.allocated`, `harness.c_bytes`.
void heap_probe_open(struct lua_State *L);

// Adds `socket`, which makes a transport over a socket whose far end a spec holds, and listens.
void socket_probe_open(struct lua_State *L);

// Adds `tls_server`, which makes connections by TLS that a spec holds both ends of.
void tls_probe_open(struct lua_State *L);

// Adds `batch`, which makes a batch and what sends by it, and `has_rings`.
void batch_probe_open(struct lua_State *L);

// Adds `redis`, which makes a Redis client and a feed whose connections a spec holds, and `redis_address`.
void redis_probe_open(struct lua_State *L);
