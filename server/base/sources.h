// SPDX-License-Identifier: MIT
// Which files an application was made of, and with which content: whether what it runs is what is saved. Any
// thread.
#pragma once
#include <pthread.h>
#include <stdbool.h>
#include "base/map.h"

struct sources {
  pthread_mutex_t lock;
  struct map files; // by path
  unsigned round;
};

void sources_init(struct sources *s);
void sources_deinit(struct sources *s);

// Brackets loading anew. Where that succeeds, what it had no use for is forgotten; else what it did not come
// to counts as it is at the end: only what is saved after that may help.
void sources_begin(struct sources *s);
void sources_end(struct sources *s, bool is_loaded);

// A file with the bytes that were read of it; one that is not there yet, or a file or folder as it is now.
void sources_add(struct sources *s, const char *path, struct span content);
void sources_add_missing(struct sources *s, const char *path);
void sources_add_path(struct sources *s, const char *path);

// True where one of them is no longer what it was. Reads them all.
bool sources_have_changed(struct sources *s);

// Calls fn for each path, with the lock held.
void sources_each(struct sources *s, void (*fn)(const char *path, bool is_folder, void *arg), void *arg);

// How many there are.
size_t sources_count(struct sources *s);
