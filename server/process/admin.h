// SPDX-License-Identifier: MIT
// The admin listener: a worker of its own that serves the library's inspector and nothing of the application.
// It is not counted among the workers, keeps its state over reloads, and is there from before the application
// is loaded until the last of its streams has gone. Main thread.
#pragma once
#include "process/listening.h"
#include "process/worker.h"

struct admin {
  struct listen_address address; // of its own
  struct listen_addresses addresses;
  struct listening listening;
  struct settings settings;
  struct process_state
      process; // counts what is asked here, and lets in whom the application's limit would not
  struct worker_owner owner;
  struct worker *worker; // NULL: there is none
};

// Makes room for its socket where the settings name an address.
void admin_init(struct admin *a, const struct options *o);

// Opens its socket, where no other process has handed it over; as listening_open.
int admin_open(struct admin *a, struct activation *passed);

// Starts the worker, whose config is one of the application's. False where there can be none.
bool admin_start(struct admin *a, const struct worker_config *like);

// Opens the listener.
void admin_serve(struct admin *a);

// Where it is served; "" where it is not. With the scheme of a URL before it, where it has one.
const char *admin_scheme(const struct admin *a);
const char *admin_name(const struct admin *a);

// Another process has the socket: new connections are its.
void admin_leave(struct admin *a);

// Ends the worker at once, and waits for it; its states go to the builder, which goes on.
void admin_stop(struct admin *a);

// Frees the rest, once the builder has ended.
void admin_free(struct admin *a);
