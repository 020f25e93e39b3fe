// SPDX-License-Identifier: MIT
// An answer is played from the hook alone: what is due is told of, then a timer waits for what comes next.
// Who is told may free the fetch, which then goes once it has been played. A request that no stub is for is
// refused by name.
#include "harness/stub_fetcher.h"
#include <math.h>
#include <stdlib.h>
#include "base/mem.h"
#include "harness/stubs.h"
#include "serve/service.h"

struct stub_fetch {
  struct fetch fetch;
  struct list link;                 // in the fetcher's list
  struct stub *stub;                // NULL: none is for it
  const struct stub_answer *answer; // of the stub, as the record
  struct stub_request *record;
  char *asked; // for the message where there is no stub
  struct timer timer;
  size_t at;                            // the piece that comes next
  double moved_at;                      // when the last one came, or the request was complete; < 0: it is not
  double began_at, idle, total;         // seconds
  bool is_whole, is_playing, is_doomed; // is_whole: the request has no body in pieces
};

static struct stub_fetcher *fetcher_of(const struct stub_fetch *f) {
  return container_of(f->fetch.fetcher, struct stub_fetcher, fetcher);
}

static struct loop *loop_of(const struct stub_fetch *f) { return f->fetch.fetcher->service->loop; }

static void queue_fetch(struct stub_fetch *f) {
  if (list_empty(&f->link)) list_append(&fetcher_of(f)->waiting, &f->link);
}

static void on_timer(struct timer *t) { queue_fetch(container_of(t, struct stub_fetch, timer)); }

static struct fetch *open_stub(struct fetcher *r, const struct fetch_request *request) {
  struct stub_fetcher *s = container_of(r, struct stub_fetcher, fetcher);
  struct stub_fetch *f = xcalloc(1, sizeof *f);
  fetch_init(&f->fetch, r);
  list_init(&f->link);
  f->timer.on_fire = on_timer;
  f->stub = s->stubs ? stubs_find(s->stubs, request) : NULL;
  f->record = f->stub ? stub_ask(f->stub, request, &f->answer) : NULL;
  f->asked = xasprintf(SPAN_FMT " " SPAN_FMT, SPAN_ARG(request->method), SPAN_ARG(request->url));
  f->began_at = loop_of(f)->now, f->moved_at = -1;
  f->idle = request->idle > 0 ? request->idle : r->service->settings->timeouts.http_idle;
  f->total = request->total > 0 ? request->total : INFINITY;
  f->is_whole = request->body_kind != FETCH_BODY_PIECES;
  queue_fetch(f);
  return &f->fetch;
}

static void stub_fetch_free(struct stub_fetch *f) {
  loop_disarm(loop_of(f), &f->timer);
  list_remove(&f->link);
  if (f->stub) stub_unref(f->stub);
  fetch_deinit(&f->fetch);
  free(f->asked);
  free(f);
}

static void free_stub(struct fetch *fetch) {
  struct stub_fetch *f = container_of(fetch, struct stub_fetch, fetch);
  if (f->record && fetch->state != FETCH_ENDED) f->record->is_closed = true;
  if (f->is_playing) f->is_doomed = true;
  else stub_fetch_free(f);
}

static void wake(struct fetch *fetch) { queue_fetch(container_of(fetch, struct stub_fetch, fetch)); }

// What has been sent is taken at once.
static void take_upload(struct stub_fetch *f) {
  char piece[4096];
  size_t n, all = 0;
  while ((n = fetch_take_upload(&f->fetch, piece, sizeof piece))) {
    buf_append(&f->record->body, piece, n);
    all += n;
  }
  if (all) fetch_tell_room(&f->fetch);
}

static double next_due(const struct stub_fetch *f) {
  const struct stub_answer *a = f->answer;
  if (f->fetch.state == FETCH_ASKED) return f->moved_at + a->after;
  if (f->fetch.is_paused) return INFINITY;
  if (f->at < a->piece_count) return f->moved_at + a->pieces[f->at].after;
  return a->stays_open ? INFINITY : f->moved_at;
}

static double next_timeout(const struct stub_fetch *f) {
  double idle = f->fetch.is_paused ? INFINITY : MAX(f->moved_at, f->began_at) + f->idle;
  return MIN(idle, f->began_at + f->total);
}

static void tell_head(struct stub_fetch *f) {
  struct span rest = buf_span(&f->answer->lines), line;
  while (stub_text_next(&rest, &line)) fetch_head_line(&f->fetch, line);
  fetch_place_fields(&f->fetch);
  fetch_tell_head(&f->fetch);
}

static void end_by_error(struct stub_fetch *f) {
  char *message = xasprintf("%s: the stub's error: %s", f->asked, fetch_error_name(f->answer->error));
  fetch_tell_end(&f->fetch, f->answer->error, message);
  free(message);
}

// Tells of what is due.
static void tell_next(struct stub_fetch *f) {
  const struct stub_answer *a = f->answer;
  if (f->fetch.state == FETCH_ASKED && a->lines.len) tell_head(f);
  else if (f->fetch.state != FETCH_ASKED && f->at < a->piece_count)
    fetch_tell_body(&f->fetch, a->pieces[f->at++].bytes);
  else if (a->error) end_by_error(f);
  else fetch_tell_end(&f->fetch, FETCH_OK, NULL);
}

static bool begin_answer(struct stub_fetch *f) {
  take_upload(f);
  if (f->moved_at < 0 && (f->is_whole || f->fetch.upload_ended)) f->moved_at = loop_of(f)->now;
  return f->moved_at >= 0;
}

static bool goes_on(const struct stub_fetch *f) { return !f->is_doomed && f->fetch.state != FETCH_ENDED; }

static void play(struct stub_fetch *f) {
  double now = loop_of(f)->now;
  while (goes_on(f)) {
    bool has_begun = begin_answer(f);
    if (!goes_on(f)) return;
    double due = has_begun ? next_due(f) : INFINITY, timeout = next_timeout(f);
    if (MIN(due, timeout) > now) {
      if (MIN(due, timeout) < INFINITY) loop_arm(loop_of(f), &f->timer, MIN(due, timeout));
      return;
    }
    if (due <= timeout) f->moved_at = due, tell_next(f);
    else fetch_tell_end(&f->fetch, FETCH_TIMEOUT, "the stub has nothing to say for so long");
  }
}

static void refuse(struct stub_fetch *f) {
  char *message = xasprintf("%s: no stub is for it: t.http.stub(method, url, answer)", f->asked);
  fetch_tell_end(&f->fetch, FETCH_REFUSED, message);
  free(message);
}

static const struct fetcher_ops ops = {.open = open_stub, .resume = wake, .send = wake, .free = free_stub};

static bool has_work(struct loop_hook *h) {
  return !list_empty(&container_of(h, struct stub_fetcher, fetcher.hook)->waiting);
}

static bool run(struct loop_hook *h) {
  struct stub_fetcher *s = container_of(h, struct stub_fetcher, fetcher.hook);
  for (struct list *node; (node = list_shift(&s->waiting));) {
    struct stub_fetch *f = container_of(node, struct stub_fetch, link);
    f->is_playing = true;
    if (f->stub) play(f);
    else if (goes_on(f)) refuse(f);
    f->is_playing = false;
    if (f->is_doomed) stub_fetch_free(f);
  }
  return false;
}

void stub_fetcher_init(struct stub_fetcher *s, struct service *service, struct stubs *stubs) {
  *s = (struct stub_fetcher){
      .fetcher = {.ops = &ops, .service = service, .hook = {.run = run, .is_ready = has_work}},
      .stubs = stubs};
  list_init(&s->fetcher.hook.link);
  list_init(&s->waiting);
  service->fetcher = &s->fetcher;
}

void stub_fetcher_deinit(struct stub_fetcher *s) {
  loop_hook_remove(s->fetcher.service->loop, &s->fetcher.hook);
}
