// SPDX-License-Identifier: MIT
// What happens to a file, or to those in a folder, one change after the other. Worker thread only.
#pragma once
#include "client/file_watch.h"
#include "serve/service.h"

struct file_change {
  struct list link;
  unsigned what; // FILE_CHANGED ...
  char name[];   // in the folder; "" where it is the path itself
};

struct file_changes {
  struct service *service;
  struct file_watch watch;
  char *path;
  struct list queue; // at most CHANGES_MAX
  size_t count;
  bool is_folder;
  bool is_lost;                            // the marks may be of another file
  bool has_more;                           // than the queue holds: it is empty, and anything may have changed
  void *owner;                             // for on_news
  void (*on_news)(struct file_changes *c); // one may be there; does not free it
};

enum { CHANGES_MAX = 1000 };

// Begins to watch; the path is copied. NULL with an errno in `error`: EDQUOT where there are too many
// (limits.files).
struct file_changes *file_changes_open(struct service *s, const char *path, void *owner,
                                       void (*on_news)(struct file_changes *c), int *error);

// The next change, the caller's to free; NULL where there is none yet.
struct file_change *file_changes_take(struct file_changes *c);

void file_changes_free(struct file_changes *c);
