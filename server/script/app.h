// SPDX-License-Identifier: MIT
// What becomes of a Lua state with an application in it, from its making to its end. It is built off the
// loops, attached to the one of its worker, and freed off the loops again: one thread at a time.
#pragma once
#include "script/vm.h"

// A state with the library in it. NULL with a reason in `error` (the caller frees it). What `config` points
// to outlives it. Any thread.
struct vm *app_new(const struct vm_config *config, char **error);

// Loads and runs an application's file and installs the app that it returns. 0, or -1 with a report in *error
// (the caller frees it): `file:line: what`, then the lines of the file around it, a hint, a traceback.
int app_load(struct vm *vm, const char *path, char **error);

// Installs the app that a module of the library returns. 0, or -1 with a text in *error (the caller frees
// it).
int app_load_own(struct vm *vm, const char *module, char **error);

// Installs an app that answers every request with this report, in place of one that does not load. 0, or -1
// where memory is short.
int app_load_stand_in(struct vm *vm, const char *report);

// Hooks its tasks to the service's loop, whose thread has it from now on.
void app_attach(struct vm *vm);

// Begins the on_start functions as tasks. Whether the state may be served is known once vm_has_started.
void app_start(struct vm *vm);

// It is served from now on: begins what runs beside requests, sse.every.
void app_begin(struct vm *vm);

// In spate dev: tells the pages that are open why newer code is not served.
void app_show_failure(struct vm *vm, const char *report);

// Begins on_stop functions as tasks.
void app_stop(struct vm *vm);

// Ends what was started with the application: its tasks are cancelled, its on_stop functions begin. Requests
// go elsewhere from now on.
void app_retire(struct vm *vm);

// Gives what a retired state has begun beside its streams, and on_close functions, a last time once the
// streams are over. Call once per turn.
void app_wind_up(struct vm *vm);

// Cancels every task (their <close> variables run), ends its subscriptions and gives it the time of `loop`
// again: any thread may free it then.
void app_detach(struct vm *vm, struct loop *loop);

// Frees the state; it is detached, or never was attached.
void app_free(struct vm *vm);
