// SPDX-License-Identifier: MIT
// What an application calls its streams, such as "user:42", and the streams of a name. Worker thread only.
#pragma once
#include "base/list.h"
#include "base/span.h"

struct service;
struct stream;
struct tag;

enum { TAGS_MAX = 16, TAG_LEN_MAX = 200 }; // of a stream; bytes of one

// A stream's being of a tag.
struct tagging {
  struct list link;     // among the tag's
  struct tagging *next; // of the same stream
  struct stream *stream;
  struct tag *tag;
};

// Gives the stream a tag, which it may have already. False where it has too many.
bool tags_add(struct stream *s, struct span name);

// Takes all of a stream's tags from it.
void tags_free(struct stream *s);

// A tag's name, borrowed for as long as a stream has it.
struct span tag_name(const struct tag *t);

// The streams of a tag, by tagging.link; NULL where there is none. Whoever walks them frees none.
struct list *tags_find(struct service *s, struct span name);
