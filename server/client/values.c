// SPDX-License-Identifier: MIT
// A byte for the type, then a number of 8 bytes, which of a text is its length, and the text behind it. Only
// this process reads what it has written, so the order of bytes is its own.
#include "client/values.h"
#include <string.h>

void values_put(struct buf *b, const struct value *v) {
  bool is_text = v->type == VALUE_TEXT || v->type == VALUE_BLOB;
  uint64_t len = v->text.len;
  buf_append_byte(b, (char)v->type);
  if (v->type == VALUE_INTEGER) buf_append(b, &v->integer, sizeof v->integer);
  if (v->type == VALUE_FLOAT) buf_append(b, &v->number, sizeof v->number);
  if (is_text) buf_append(b, &len, sizeof len), buf_append_span(b, v->text);
}

static void take(struct span *rest, void *to, size_t len) {
  if (to) memcpy(to, rest->bytes, len);
  rest->bytes += len, rest->len -= len;
}

bool values_next(struct span *rest, struct value *v) {
  char type;
  uint64_t len;
  if (!rest->len) return false;
  take(rest, &type, 1);
  *v = (struct value){.type = (enum value_type)type};
  if (v->type == VALUE_INTEGER) take(rest, &v->integer, sizeof v->integer);
  if (v->type == VALUE_FLOAT) take(rest, &v->number, sizeof v->number);
  if (v->type != VALUE_TEXT && v->type != VALUE_BLOB) return true;
  take(rest, &len, sizeof len);
  v->text = (struct span){rest->bytes, len};
  take(rest, NULL, len);
  return true;
}
