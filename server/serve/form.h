// SPDX-License-Identifier: MIT
// A form with files (multipart/form-data) on its way in: fields stay in memory, files are spooled, all within
// limits. Worker thread.
#pragma once
#include "http/multipart.h"
#include "serve/settings.h"
#include "serve/spool.h"

struct form_part {
  char *name, *filename, *type; // of name_len and filename_len bytes; type == NULL: none was given
  size_t name_len, filename_len;
  bool is_file;
  struct spool bytes;
};

struct form {
  struct multipart multipart;
  const struct settings *settings;
  struct form_part *parts;
  size_t part_count;
  size_t field_bytes;   // names and values that are kept in memory
  bool is_large;        // more of them than limits.body
  const char *error;    // NULL: fine so far
  int disk_errno;       // not 0: that is why, and the form may well be one
  char disk_error[128]; // what `error` may point to
};

// A form that waits for its first byte; NULL where the Content-Type names no boundary. The settings are
// borrowed.
struct form *form_new(struct span content_type, const struct settings *settings);

// Frees it and all its parts; NULL is allowed.
void form_free(struct form *f);

// Takes bytes in. False where f->is_large, or with f->error set; nothing may follow then.
bool form_feed(struct form *f, struct span bytes);

// The body has ended. False with f->error set where the form had not.
bool form_end(struct form *f);
