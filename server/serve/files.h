// SPDX-License-Identifier: MIT
// Regular files as answers: opening them safely, and what a request gets of one (RFC 9110 13, 14). A slow
// disk holds up the thread. Worker thread only.
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "base/list.h"
#include "base/span.h"
#include "http/request.h"

struct stream;

enum file_error {
  FILE_OK,
  FILE_MISSING, // also what is neither file nor directory, and what lies outside the root
  FILE_IS_DIRECTORY,
  FILE_FORBIDDEN, // to this process
  FILE_BUSY       // no descriptor is left, or the disk fails
};

struct file {
  int fd;     // -1: closed, or handed over
  int root;   // descriptor of the folder that it lies beneath, borrowed; -1: anywhere
  char *path; // as opened, below the root
  uint64_t size, inode;
  int64_t modified; // seconds since 1970
  long nanoseconds;
};

// One in a list of those that have been opened for an answer.
struct listed_file {
  struct list link;
  struct file file;
};

// Opens a folder for what lies beneath it. A descriptor, or -1 with errno.
int file_root_open(const char *path);

// Opens a file for reading and fills *f in, which the caller gives back with file_close. With a root neither
// ".." nor symbolic links lead out of it.
enum file_error file_open(struct file *f, int root, const char *path);

// Harmless where it is closed already.
void file_close(struct file *f);

// Empties a list of listed files and closes them.
void files_close(struct list *files);

// False for a path that no client may name: with an empty segment before its end, a dot segment, a backslash;
// and, unless `dotfiles`, with a segment that begins with a dot.
bool file_path_is_public(struct span path, bool dotfiles);

// Answers a GET or HEAD by its conditions and ranges where `status` is 200, anything else with the whole
// file. A neighbour with .br or .gz behind its name, no older, goes out in its place where the client prefers
// that. `type`: empty for that of the name. What is sent is taken out of the file, which the caller closes.
void file_answer(struct file *f, struct stream *s, int status, struct span type, const struct field *fields,
                 size_t count);
