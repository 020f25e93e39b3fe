// SPDX-License-Identifier: MIT
// A reply is what a server says: each part of it is looked at before it is used.
#include "client/redis_page.h"
#include "base/log.h"

bool page_position(const redisReply *page, size_t i, struct position *at) {
  if (page->type != REDIS_REPLY_ARRAY || i >= (size_t)page->elements) return false;
  struct span text = redis_text(page->element[i]);
  return text.bytes && record_position(text, at);
}

size_t page_count(const redisReply *page) {
  return page->type == REDIS_REPLY_ARRAY && page->elements ? ((size_t)page->elements - 1) / 2 : 0;
}

struct event *page_decode(struct span bytes, struct position at, const char *channel) {
  struct sse_fields fields;
  uint64_t key = 0;
  char id[CHANNEL_ID_MAX];
  if (!bytes.bytes || !record_read(bytes, &fields, &key)) {
    log_message(LOG_WARN, "channel %s: the event %llu-%llu was written by another version: it is left out",
                channel, (unsigned long long)at.epoch, (unsigned long long)at.seq);
    fields = SSE_NO_FIELDS, fields.comment = SPAN("");
  }
  return channel_event(&fields, key, at, id);
}

bool page_event(const redisReply *page, size_t i, const char *channel, struct event **e) {
  struct position at;
  if (i >= page_count(page) || !page_position(page, 1 + 2 * i, &at)) return false;
  *e = page_decode(redis_text(page->element[2 + 2 * i]), at, channel);
  return true;
}

bool page_goes_on(struct position from, struct position first) {
  if (position_equals(first, from)) return true;
  return from.epoch ? first.epoch == from.epoch && first.seq == from.seq + 1 : first.seq == 1;
}
