// SPDX-License-Identifier: MIT
// It is asked only while the windows of the stream and the connection are open, so what they do not let
// through stays in the stream's own queue, where it can still be dropped. Events are copied: they are small,
// and a batch of frames is one write.
#include "http/http2_read.h"
#include <string.h>
#include "base/util.h"
#include "http/http2_turns.h"
#include "loop/transport.h"

static ssize_t read_refusal(struct http2_stream *s, uint8_t *into, size_t len, uint32_t *flags) {
  size_t left = strlen(s->refusal), n = MIN(len, left);
  memcpy(into, s->refusal, n);
  s->refusal += n;
  if (n == len) return (ssize_t)n;
  into[n] = '\n';
  *flags |= NGHTTP2_DATA_FLAG_EOF;
  s->is_ended = true;
  return (ssize_t)n + 1;
}

static void copy_out(const struct outq *q, uint8_t *into) {
  for (int i = 0; i < q->count; i++) {
    memcpy(into, q->iov[i].iov_base, q->iov[i].iov_len);
    into += q->iov[i].iov_len;
  }
}

static ssize_t read_stream(struct http2 *h, struct http2_stream *s, uint8_t *into, size_t len,
                           uint32_t *flags) {
  struct outq q;
  q.count = 0, q.len = 0, q.is_share = q.has_more = q.is_last = false;
  size_t n = h->proto.sink->take(s->stream, len, &q);
  copy_out(&q, into);
  h->has_share |= q.is_share;
  if (q.is_last) *flags |= NGHTTP2_DATA_FLAG_EOF, s->is_ended = true;
  if (!n && !q.is_last) {
    s->is_deferred = true, s->has_more = q.has_more;
    h->has_more |= q.has_more;
    return NGHTTP2_ERR_DEFERRED;
  }
  if (n && !s->in_batch) list_append(&h->batched, &s->batched);
  s->in_batch += (uint32_t)n;
  h->batch_whole += n && n < len;
  return (ssize_t)n;
}

ssize_t http2_read(nghttp2_session *session, int32_t id, uint8_t *into, size_t len, uint32_t *flags,
                   nghttp2_data_source *source, void *user) {
  struct http2_stream *s = source->ptr;
  (void)session, (void)id;
  if (s->refusal) return read_refusal(s, into, len, flags);
  if (s->stream && http2_turns_wait(user, s)) return NGHTTP2_ERR_DEFERRED;
  if (s->stream) return read_stream(user, s, into, len, flags);
  if (!s->is_done) return NGHTTP2_ERR_DEFERRED;
  *flags |= NGHTTP2_DATA_FLAG_EOF;
  s->is_ended = true;
  return 0;
}
