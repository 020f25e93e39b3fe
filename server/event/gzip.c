// SPDX-License-Identifier: MIT
// One rule decides: who has what the channel has carried since `run_from`, without a gap and with nothing
// else between, reads whatever refers to nothing before that. A dropped event is a gap in the places; bytes
// of the stream's own end the run as well. The closing sum is put together from the channel's where a run
// ends, so that an event costs its readers no sum each.
#include "event/gzip.h"
#include "event/event_text.h"

static const uint64_t GZIP_OWN = UINT64_MAX;

static bool is_own(const struct gzip *g) { return g->run_from == GZIP_OWN; }

void gzip_init(struct gzip *g, bool own) { *g = (struct gzip){.run_from = own ? GZIP_OWN : 0}; }

void gzip_deinit(struct gzip *g) {
  if (is_own(g)) deflater_free(g->own);
  else if (g->shared) compressor_leave(g->shared), compressor_unref(g->shared);
}

void gzip_share(struct gzip *g, struct compressor *c) {
  compressor_watch(c);
  g->shared = c;
}

// Puts the run's sum into that of all. Of a and then b: sum(b) = sum(a and b) xor sum(a and len zeros).
static void close_run(struct gzip *g) {
  uint64_t len = g->run_to - g->run_from;
  if (!len) return;
  uint32_t run = g->run_crc_end ^ gzip_sum_join(g->run_crc, 0, len);
  g->crc = gzip_sum_join(g->crc, run, len);
  g->len += (uint32_t)len;
  g->run_from = g->run_to;
}

static void go_on(struct gzip *g, const struct forms *f, size_t len) {
  if (g->run_from == g->run_to || g->run_to != f->pos) {
    close_run(g);
    g->run_from = f->pos, g->run_crc = f->crc_before;
  }
  g->run_to = f->pos + len, g->run_crc_end = f->crc_after;
}

static void add_own(struct gzip *g, struct span text) {
  if (!is_own(g)) close_run(g);
  g->crc = gzip_sum(g->crc, text);
  g->len += (uint32_t)text.len;
}

// What keeps a stream alive, and no more.
static bool is_comment(struct span text) {
  return text.bytes[0] == ':' &&
         (const char *)memchr(text.bytes, '\n', text.len) == text.bytes + text.len - 2;
}

// Where nothing but comments has come for a while the window is given back.
static void rest(struct gzip *g, double now) {
  if (!is_own(g) && g->shared) compressor_rest(g->shared, now);
  else if (is_own(g) && g->own && deflater_rests(g->own, now)) deflater_free(g->own), g->own = NULL;
}

// NULL where it has no window, and a comment is not worth one. All that goes out goes through the window.
static struct event *form_own(struct gzip *g, struct span text, const struct gzip_tools *tools, double now) {
  struct buf blocks = {0};
  if (!g->own && !is_comment(text)) g->own = deflater_new(tools->window_bits, tools->total);
  if (!g->own) return NULL;
  if (!is_comment(text)) deflater_use(g->own, now);
  if (text.len <= COMPRESSED_MAX) deflater_add(g->own, text, &blocks);
  else deflater_reset(g->own), deflate_store(text, &blocks);
  struct event *made = forms_event(buf_span(&blocks));
  buf_deinit(&blocks);
  return made;
}

struct deflater *gzip_alone(struct gzip_tools *tools) {
  if (!tools->alone) tools->alone = deflater_new(WINDOW_BITS_MAX, NULL);
  return tools->alone;
}

// Its place where the event is one of the channel's that it shares.
static const struct forms *placed(const struct gzip *g, const struct event *e) {
  const struct forms *f = is_own(g) || !g->shared ? NULL : atomic_load(&e->forms);
  return f && f->compressor == g->shared ? f : NULL;
}

struct event *gzip_form(struct gzip *g, struct event *e, struct gzip_tools *tools, double now) {
  struct span text = event_text(e);
  const struct forms *f = placed(g, e);
  struct event *form = NULL;
  if (is_comment(text)) rest(g, now);
  if (f) go_on(g, f, text.len);
  else add_own(g, text);
  if (f) form = forms_shared(e, g->run_from, now);
  else if (is_own(g)) form = form_own(g, text, tools, now);
  if (!form) form = forms_alone(e, gzip_alone(tools));
  event_unref(e);
  return form;
}

struct event *gzip_end(struct gzip *g) {
  char *bytes;
  if (!is_own(g)) close_run(g);
  struct event *e = event_new_framed(GZIP_END_LEN, &bytes);
  gzip_end_write(g->crc, g->len, bytes);
  return e;
}
