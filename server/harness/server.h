// SPDX-License-Identifier: MIT
// A server in memory, as its files share it: harness.c makes and ends it, states.c is about its applications,
// time.c has it go on.
#pragma once
#include <lauxlib.h>
#include "client/file_watch.h"
#include "client/process.h"
#include "event/broker.h"
#include "event/shared.h"
#include "harness/door.h"
#include "harness/probe.h"
#include "harness/spec_asks.h"
#include "harness/stub_fetcher.h"
#include "harness/sqlite_probe.h"
#include "harness/stub_redis.h"
#include "harness/store_probe.h"
#include "harness/test_store.h"
#include "script/generations.h"
#include "script/long_turns.h"

#define HARNESS_SERVER "spate.harness.server"

struct harness {
  struct manual_clock clock;
  struct loop loop;
  struct settings settings;
  struct service service;
  struct inbox inbox;
  struct stub_fetcher fetcher;
  struct spec_asks asks;
  struct stub_redis redis;
  struct stubs *stubs;   // NULL: none; kept alive as a user value
  struct broker *broker; // its own, or another server's
  struct broker own_broker;
  struct test_store store;         // of own_broker, where it has one
  struct sqlite_store *sqlite;     // or this
  struct redis_store *redis_store; // or this
  struct shared_registry *shared;  // likewise
  struct shared_registry own_shared;
  struct harness *owner;         // of broker and dictionaries, where that is another server
  int guests;                    // servers that it is the owner for
  struct process_state *process; // likewise
  struct process_state *subject; // as service.subject
  struct process_state own_process;
  struct generations generations;
  struct long_turns long_turns;
  struct processes processes;
  struct groups own_groups;
  struct file_watcher file_watcher;
  struct vm_collection collection; // of its states, where it collects_when_told
  bool collects_when_told;
  struct vm *vm;     // the newest, loaded or not; NULL where it did not start
  struct vm *built;  // one that is loaded, and not served by yet
  char *start_error; // of the state that starts
  struct door door;
  struct list clients;
  struct list over; // clients whose connection the server has closed, and who have not been told of
  struct buf log;
  long events_before;
  int refs_before;
  uint64_t tasks_refused; // that have been asked for
  bool is_open, is_watched, is_traced, blocks;
  struct buf answer; // of probe_run
  struct coverage coverage;
};

// The server at index 1 of L; raises where it is none, is closed or has not started.
struct harness *check_server(lua_State *L);

// Has what is logged belong to the server from now on.
void harness_capture_log(struct harness *h);

// Has clients do what was asked of them since; whether that was anything.
bool harness_poll_clients(struct harness *h);

// nil and the message, which is freed: how many values that is.
int harness_push_error(lua_State *L, char *error);

// Turns until nothing is left to do now; a producer that never waits is left after a thousand. How many.
int harness_settle(struct harness *h);

// A state for an application; NULL with *error set, to be freed.
struct vm *harness_new_vm(struct harness *h, int worker, unsigned generation, struct vm_faults faults,
                          char **error);

// References of a state beside those of coroutines, which live tasks and the pool hold.
int harness_held_refs(const struct vm *vm);

// Opens the store of the settings; false with *error set, to be freed.
bool harness_open_store(struct harness *h, char **error);
void harness_close_stores(struct harness *h);

// server:told(message): another process tells it that by their store.
int server_told(lua_State *L);

// server:stats(): what is alive and what has been counted.
int server_stats(lua_State *L);

// server:load(path) and so on: which application it serves.
extern const luaL_Reg state_methods[];

// server:turn() and so on: when it goes on, and to which time.
extern const luaL_Reg time_methods[];
