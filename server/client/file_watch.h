// SPDX-License-Identifier: MIT
// Word of changes to files and folders, for all who wait for any on one worker: one inotify descriptor, which
// the kernel gives a user few of. What is said only tells that it is time to look. Worker thread only.
#pragma once
#include "base/map.h"
#include "loop/watch.h"

struct file_watcher {
  struct watch watch; // of inotify, while it is open
  struct loop *loop;
  struct map marks; // by the kernel's number: what inotify watches, and for whom
  struct list watches;
};

enum { FILE_CHANGED = 1, FILE_CREATED = 2, FILE_REMOVED = 4, FILE_UNKNOWN = 8 }; // unknown: word was lost

struct file_watch {
  struct file_watcher *watcher;
  struct list link;    // of all
  struct list entries; // what is marked for it
  // What has happened, and the name in a folder that it has happened to; "" where it is the marked itself.
  // Does not add to, clear or end any watch.
  void (*on_change)(struct file_watch *w, unsigned what, const char *name);
};

void file_watcher_init(struct file_watcher *fw, struct loop *loop);

// Closes it; no watch is left.
void file_watcher_deinit(struct file_watcher *fw);

// Ties `w`, whose on_change is set, to a watcher; nothing is marked as yet.
void file_watch_init(struct file_watch *w, struct file_watcher *fw);

// Marks the folders and links that a path leads over, for the names on it: where a folder is not there, the
// one that it would be in. 0, or an errno: EMFILE, ENOSPC where the user has too many.
int file_watch_add_way(struct file_watch *w, const char *path);

// Marks an open file for what is written to it, whatever its name is by then.
int file_watch_add_open(struct file_watch *w, int fd);

// Marks a folder for what comes, goes and is completely written in it.
int file_watch_add_folder(struct file_watch *w, const char *path);

// Takes its marks back.
void file_watch_clear(struct file_watch *w);

// Ends it; harmless where it was never initialized, and is all zeros.
void file_watch_deinit(struct file_watch *w);
