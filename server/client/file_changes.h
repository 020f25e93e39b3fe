// SPDX-License-Identifier: MIT
// What happens to a file, or to a folder and those in it, one change after the other. Worker thread only.
#pragma once
#include "client/file_watch.h"
#include "loop/timer.h"
#include "serve/service.h"

struct file_changes {
  struct service *service;
  struct file_watch way, inside; // of the path itself; of the names in a folder
  char *path;
  struct list queue; // at most CHANGES_MAX
  size_t count;
  bool is_folder;
  bool is_lost;                            // the marks may be of another file
  bool is_blind;                           // they could not be set: what has happened since is not known
  bool has_more;                           // than the queue holds: it is empty, and anything may have changed
  struct timer timer;                      // until they are set again
  void *owner;                             // for on_news
  void (*on_news)(struct file_changes *c); // one may be there; does not free it
};

enum { CHANGES_MAX = 1000 };

// Begins to watch; the path is copied. NULL with an errno in `error`: EDQUOT where there are too many
// (limits.files).
struct file_changes *file_changes_open(struct service *s, const char *path, void *owner,
                                       void (*on_news)(struct file_changes *c), int *error);

// The next change, FILE_CHANGED ..., and its name in the folder, borrowed until it is dropped; "": the path
// itself. False where there is none yet.
bool file_changes_peek(struct file_changes *c, unsigned *what, const char **name);

// That one has been told.
void file_changes_drop(struct file_changes *c);

void file_changes_free(struct file_changes *c);
