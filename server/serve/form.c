// SPDX-License-Identifier: MIT
// The parser hands over parts and their bytes; the first thing that is wrong is kept, and nothing of what
// follows is.
#include "serve/form.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/mem.h"

static struct form *form_of(void *owner) { return owner; }

static bool is_failed(const struct form *f) { return f->error || f->is_large; }

static char *copy(struct form *f, struct span s) {
  f->field_bytes += s.len;
  return s.bytes ? xstrndup(s.bytes, s.len) : NULL;
}

static void on_part(void *owner, const struct multipart_part *part) {
  struct form *f = form_of(owner);
  if (is_failed(f)) return;
  if (f->part_count == f->settings->limits.parts) {
    f->error = "too many parts";
    return;
  }
  if (!(f->part_count & (f->part_count - 1))) // full: 1, 2, 4 ...
    f->parts = xrealloc(f->parts, (f->part_count ? f->part_count * 2 : 1) * sizeof *f->parts);
  f->parts[f->part_count++] = (struct form_part){.name = copy(f, part->name),
                                                 .filename = copy(f, part->filename),
                                                 .type = copy(f, part->type),
                                                 .name_len = part->name.len,
                                                 .filename_len = part->filename.len,
                                                 .is_file = part->is_file,
                                                 .bytes = SPOOL_EMPTY};
  f->is_large = f->field_bytes > f->settings->limits.body;
}

static void on_data(void *owner, struct span bytes) {
  struct form *f = form_of(owner);
  if (is_failed(f)) return;
  struct form_part *part = &f->parts[f->part_count - 1];
  if (!part->is_file) {
    f->field_bytes += bytes.len;
    f->is_large = f->field_bytes > f->settings->limits.body;
    if (f->is_large) return;
  }
  size_t memory_max = part->is_file ? f->settings->limits.spool : SIZE_MAX;
  if (spool_append(&part->bytes, bytes, memory_max) == 0) return;
  f->disk_errno = errno;
  snprintf(f->disk_error, sizeof f->disk_error, "cannot store the upload: %s", strerror(errno));
  f->error = f->disk_error;
}

static const struct multipart_sink sink = {.on_part = on_part, .on_data = on_data};

struct form *form_new(struct span content_type, const struct settings *settings) {
  struct form *f = xcalloc(1, sizeof *f);
  f->settings = settings;
  if (multipart_init(&f->multipart, content_type, &sink, f)) return f;
  free(f);
  return NULL;
}

void form_free(struct form *f) {
  if (!f) return;
  for (size_t i = 0; i < f->part_count; i++) {
    free(f->parts[i].name);
    free(f->parts[i].filename);
    free(f->parts[i].type);
    spool_deinit(&f->parts[i].bytes);
  }
  free(f->parts);
  free(f);
}

bool form_feed(struct form *f, struct span bytes) {
  const char *why = is_failed(f) ? NULL : multipart_feed(&f->multipart, bytes);
  if (why && !is_failed(f)) f->error = why;
  return !is_failed(f);
}

bool form_end(struct form *f) {
  if (!is_failed(f) && !multipart_is_complete(&f->multipart)) f->error = "the form ends too early";
  return !is_failed(f);
}
