// SPDX-License-Identifier: MIT
// The lines of a file that grows, whatever becomes of its name: rotated, truncated, removed, replaced, there
// later. Nothing is read ahead of who takes the lines. Worker thread only.
#pragma once
#include "base/buf.h"
#include "client/file_watch.h"
#include "serve/service.h"

struct look;

enum tail_from { TAIL_FROM_OFFSET, TAIL_FROM_LINES };

struct tail_start {
  enum tail_from from;
  uint64_t n;      // bytes from its start; or complete lines before its end
  bool may_appear; // later, where it is not there
};

struct tail {
  struct service *service;
  struct file_watch watch;
  char *path;
  struct tail_start start;
  int next_fd;       // the file that has taken its name; -1: none
  int fd;            // -1: none is open, or the look has it
  struct buf bytes;  // limits.file_window of them at most ...
  size_t taken;      // ... and how many of these have been taken
  uint64_t offset;   // in the file, of what lies behind the bytes
  struct look *look; // at the file, on another thread; NULL: none
  struct timer timer;
  int error;                       // why it has ended; 0: it has not
  bool is_open;                    // it has been found once
  bool is_dirty;                   // word of a change has come since the last look began
  bool is_lost;                    // that was of a name on its path: the marks may be of another file
  bool has_end;                    // the last look found no more
  bool is_gone;                    // its name leads elsewhere, or nowhere
  bool is_quiet;                   // and nothing has come since, for as long as a writer may need
  bool ends_line;                  // what is left of the bytes is the last of a file
  void *owner;                     // for on_news
  void (*on_news)(struct tail *t); // a line, the end, or it is found may be there; does not free it
};

struct tail_line {
  struct span text; // borrowed until the next call
  uint64_t offset;  // where the next one begins
  bool is_part;     // of a line longer than the window; more of it follows
};

enum tail_result { TAIL_LINE, TAIL_WAIT, TAIL_END };

// Begins to look for the file; `path` is copied. NULL where there are too many (limits.files).
struct tail *tail_open(struct service *s, const char *path, struct tail_start start, void *owner,
                       void (*on_news)(struct tail *t));

// 0 once the file has been found, or may appear later and the folder is watched; EINPROGRESS while it is
// looked for; else why it cannot be read: an errno, ENODEV for what is neither file nor folder.
int tail_status(const struct tail *t);

// The next line; TAIL_WAIT: on_news tells when to ask again. It may begin to read.
enum tail_result tail_take(struct tail *t, struct tail_line *line);

void tail_free(struct tail *t);
