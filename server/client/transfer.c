// SPDX-License-Identifier: MIT
// What is the same whoever carries it: where it may go, how long it may take, and what comes of the answer. A
// function that finds that the transfer is to end notes why and says so; the client sees to the rest once
// what carries it has returned.
#include "client/transfer.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/cidr.h"
#include "base/mem.h"
#include "serve/service.h"

enum { DISCARD_MAX = 64 << 10 };

static const struct settings *settings_of(const struct transfer *t) {
  return t->fetch.fetcher->service->settings;
}

static double now(const struct transfer *t) { return t->fetch.fetcher->service->loop->now; }

double transfer_deadline(const struct transfer *t, const char **what) {
  const struct settings *s = settings_of(t);
  double idle = t->hop.idle > 0 ? t->hop.idle : s->timeouts.http_idle;
  double connect = t->hop.connect > 0 ? t->hop.connect : s->timeouts.http_connect;
  double total = t->hop.total > 0 ? t->asked_at + t->hop.total : INFINITY;
  double phase = t->has_connected ? t->active_at + idle : t->began_at + connect;
  *what = t->has_connected ? "nothing came or went for too long" : "no connection in time";
  bool is_waited_for = t->fetch.is_paused || (t->is_starved && !t->fetch.upload_stopped);
  if (t->has_connected && is_waited_for) phase = INFINITY;
  if (total <= phase) *what = "not complete in time";
  return MIN(total, phase);
}

void transfer_watch(struct transfer *t) {
  struct loop *loop = t->fetch.fetcher->service->loop;
  const char *what;
  double deadline = transfer_deadline(t, &what);
  if (deadline < INFINITY) loop_arm(loop, &t->timer, deadline);
  else loop_disarm(loop, &t->timer);
}

bool transfer_give_up(struct transfer *t, enum fetch_error error) {
  if (!t->error) t->error = error;
  return false;
}

bool transfer_refuses_private(const struct transfer *t) {
  return t->hop.refuses_private || !settings_of(t)->http.private;
}

// The end of the head: of an interim answer, of a redirect that is followed, or of the answer.
static bool end_head(struct transfer *t) {
  struct fetch *f = &t->fetch;
  if (f->status < 200 || f->state != FETCH_ASKED) return true;
  fetch_place_fields(f);
  t->is_redirect =
      t->hop.redirects_are_followed && hop_is_redirect(f->status, fetch_field(f, SPAN("location")));
  if (!t->is_redirect) fetch_tell_head(f);
  return !t->is_doomed;
}

bool transfer_take_line(struct transfer *t, struct span line) {
  if (t->fetch.state != FETCH_ASKED || t->is_redirect) return true;
  if (!line.len) return end_head(t);
  if (fetch_head_line(&t->fetch, line)) return true;
  return transfer_give_up(t, t->fetch.status ? FETCH_TOO_LARGE : FETCH_PROTOCOL);
}

bool transfer_take_body(struct transfer *t, struct span bytes) {
  if (t->is_redirect) return (t->discarded += bytes.len) <= DISCARD_MAX;
  fetch_tell_body(&t->fetch, bytes);
  return !t->is_doomed;
}

size_t transfer_take_upload(struct transfer *t, char *into, size_t max) {
  struct fetch *f = &t->fetch;
  size_t n = fetch_take_upload(f, into, max);
  t->is_starved = !n && !f->upload_ended;
  if (!f->upload.len && !f->upload_ended) fetch_tell_room(f);
  return n;
}

bool transfer_note_connected(struct transfer *t, const struct address *peer) {
  if (t->has_connected && t->is_once) return transfer_give_up(t, FETCH_CLOSED); // it was sent before
  t->has_connected = true, t->active_at = now(t);
  transfer_watch(t);
  bool is_private = transfer_refuses_private(t) && !t->hop.unix_path && address_is_private(peer);
  return !is_private || transfer_give_up(t, FETCH_PRIVATE);
}

// http_proxy in lower case only: a field "Proxy" of a CGI's request would set the other.
bool transfer_has_proxy(bool is_secure) {
  static const char *const plain[] = {"http_proxy", "all_proxy", "ALL_PROXY", NULL};
  static const char *const secure[] = {"https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY", NULL};
  const char *value = NULL;
  for (const char *const *name = is_secure ? secure : plain; *name && !(value && *value); name++)
    value = getenv(*name);
  return value && *value;
}

bool transfer_needs_name(const struct transfer *t, bool has_proxy) {
  struct address literal;
  if (t->hop.unix_path || address_parse(span_of(t->hop.host), &literal)) return false;
  return transfer_refuses_private(t) || !has_proxy;
}

bool transfer_is_plain(const struct transfer *t, bool has_proxy) {
  bool has_zone = strchr(t->hop.host, '%'); // of an address that is of a link only
  return !t->hop.is_secure && !t->hop.user && !has_zone && (transfer_refuses_private(t) || !has_proxy);
}

void transfer_check_literal(struct transfer *t) {
  struct address *a = &t->resolved.addresses[0];
  t->resolved.count = !t->hop.unix_path && address_parse(span_of(t->hop.host), a);
  if (t->resolved.count && transfer_refuses_private(t) && address_is_private(a))
    transfer_give_up(t, FETCH_PRIVATE);
}

void transfer_take_name(struct transfer *t, const struct resolved *found) {
  t->resolved = *found, t->resolved.count = 0, t->has_resolved = true;
  for (unsigned i = 0; i < found->count; i++)
    if (!transfer_refuses_private(t) || !address_is_private(&found->addresses[i]))
      t->resolved.addresses[t->resolved.count++] = found->addresses[i];
  if (t->resolved.count) return;
  snprintf(t->text, sizeof t->text, "%s", found->why);
  transfer_give_up(t, found->count ? FETCH_PRIVATE : FETCH_NAME);
}

void transfer_begin(struct transfer *t) {
  t->is_once = hop_is_once(&t->hop);
  t->has_resolved = t->is_redirect = t->has_connected = t->is_starved = t->is_held = false;
  t->discarded = t->body_at = 0, t->text[0] = 0;
  t->began_at = t->active_at = now(t);
}

struct transfer *transfer_new(struct fetcher *r, const struct fetch_request *request) {
  struct transfer *t = xcalloc(1, sizeof *t);
  fetch_init(&t->fetch, r);
  list_init(&t->link);
  list_init(&t->lookup.link);
  t->error = hop_init(&t->hop, request);
  t->asked_at = t->began_at = t->active_at = now(t);
  return t;
}

void transfer_free(struct transfer *t) {
  lookup_leave(&t->lookup);
  hop_deinit(&t->hop);
  list_remove(&t->link);
  fetch_deinit(&t->fetch);
  free(t);
}
