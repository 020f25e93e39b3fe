// SPDX-License-Identifier: MIT
// The same body must give the same parts and the same outcome however it is split. The first byte of the
// input chooses the pieces and where the boundary comes from; the rest is fed whole, then in pieces, each in
// memory of its exact size, and what came out is compared. What a part promises is checked on the way.
#include <stdint.h>
#include <stdlib.h>
#include "base/buf.h"
#include "http/multipart.h"

#define CHECK(condition) \
  if (!(condition)) __builtin_trap()

struct record {
  struct buf text; // what happened; a part's bytes follow it
  bool has_part;
  const char *why;
};

static void note(struct record *r, const char *what, struct span s) {
  buf_printf(&r->text, " %s %zu ", what, s.len);
  buf_append_span(&r->text, s);
}

static void on_part(void *owner, const struct multipart_part *part) {
  struct record *r = owner;
  CHECK(part->name.bytes && (part->is_file || !part->filename.len));
  for (size_t i = 0; i < part->filename.len; i++) CHECK(!strchr("/\\", part->filename.bytes[i]));
  CHECK(!span_equal(part->filename, SPAN("..")) && part->name.len < MULTIPART_HEAD_MAX);
  r->has_part = true;
  note(r, part->is_file ? "file" : "field", part->name);
  note(r, "filename", part->filename);
  note(r, part->type.bytes ? "type" : "no type", part->type);
  buf_printf(&r->text, " data ");
}

static void on_data(void *owner, struct span bytes) {
  struct record *r = owner;
  CHECK(r->has_part && bytes.len);
  buf_append_span(&r->text, bytes);
}

static const struct multipart_sink sink = {on_part, on_data};

// Feeds a copy as long as the piece, so that a read behind it is seen.
static const char *feed_copy(struct multipart *m, struct span bytes) {
  char *copy = malloc(bytes.len + !bytes.len);
  if (bytes.len) memcpy(copy, bytes.bytes, bytes.len);
  const char *why = multipart_feed(m, (struct span){copy, bytes.len});
  free(copy);
  return why;
}

// In pieces of up to `piece_max` bytes, or whole for 0.
static void run(struct record *r, struct span content_type, struct span in, size_t piece_max) {
  struct multipart *m = calloc(1, sizeof *m);
  if (!multipart_init(m, content_type, &sink, r)) r->why = "no boundary";
  for (size_t turn = 1; in.len && !r->why; turn = turn * 5 + 3) {
    size_t len = piece_max ? MIN(1 + turn % piece_max, in.len) : in.len;
    r->why = feed_copy(m, (struct span){in.bytes, len});
    in.bytes += len, in.len -= len;
  }
  buf_printf(&r->text, " %s", r->why ? r->why : multipart_is_complete(m) ? "complete" : "incomplete");
  free(m);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len) {
  if (!len) return 0;
  struct span in = {(const char *)bytes + 1, len - 1}, content_type = SPAN("multipart/form-data; boundary=B");
  if (bytes[0] & 0x80) content_type = span_split(&in, '\n');
  struct record whole = {0}, pieces = {0};
  run(&whole, content_type, in, 0);
  run(&pieces, content_type, in, 1 + (bytes[0] & 0x7f) / 4);
  CHECK(span_equal(buf_span(&whole.text), buf_span(&pieces.text)));
  buf_deinit(&whole.text);
  buf_deinit(&pieces.text);
  return 0;
}
