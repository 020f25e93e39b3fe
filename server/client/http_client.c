// SPDX-License-Identifier: MIT
// What is plain HTTP/1 goes over connections of ours (client/plain), the rest over libcurl: TLS, HTTP/2,
// proxies. libcurl's multi handle is on the loop: it says which descriptors and which time it waits for, and
// is told of them. It may not be called from within its own callbacks, and these run the users' functions; so
// whoever leaves or goes on there is linked, and seen to when the call has returned. A connection carries one
// answer at a time, of HTTP/2 as well: one that nobody reads then holds up nobody else, and what libcurl
// keeps for it stays small.
#include "client/http_client.h"
#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>
#include "base/escape.h"
#include "base/mem.h"
#include "client/easy.h"
#include "client/plain.h"
#include "loop/watch.h"
#include "serve/service.h"

enum { CONNECTIONS_KEPT = 128 };

struct http_client {
  struct fetcher fetcher;
  CURLM *multi;
  struct loop *loop;
  struct timer timer; // libcurl's
  bool is_due;        // it wants to be called at once
  unsigned in_call;   // calls that run sinks, such as libcurl's, and have not returned
  struct plain_pool plain;
  bool has_proxy[2];    // between us and servers without TLS, and with it
  struct list waiting;  // transfers to begin, or to end by what is known already
  struct list going_on; // those that were paused, or starved
  struct list doomed;   // those to be freed
  struct list running;
  const char *bundle;
  struct resolver *resolver;
};

struct client_socket {
  struct watch watch;
  struct http_client *client;
};

static struct http_client *client_of(const struct transfer *t) {
  return container_of(t->fetch.fetcher, struct http_client, fetcher);
}

static struct transfer *transfer_of(struct list *node) { return container_of(node, struct transfer, link); }

static void move(struct transfer *t, struct list *to) {
  list_remove(&t->link);
  list_append(to, &t->link);
}

// From what carries it; a connection whose answer is not complete is closed, also one of HTTP/2.
static void leave_carrier(struct transfer *t, bool is_complete) {
  struct http_client *c = client_of(t);
  if (t->state != TRANSFER_RUNNING) return;
  t->state = TRANSFER_WAITING;
  if (t->is_plain) {
    plain_leave(t);
    return;
  }
  if (!is_complete) curl_easy_setopt(t->easy, CURLOPT_FORBID_REUSE, 1L);
  c->in_call++;
  curl_multi_remove_handle(c->multi, t->easy);
  c->in_call--;
}

static void end_transfer(struct transfer *t, enum fetch_error error, const char *message) {
  struct http_client *c = client_of(t);
  leave_carrier(t, !error);
  loop_disarm(c->loop, &t->timer);
  list_remove(&t->link);
  lookup_leave(&t->lookup);
  t->state = TRANSFER_ENDED;
  bool is_v6 = t->hop.host && strchr(t->hop.host, ':');
  char *text = error && t->hop.host ? xasprintf("%s%s%s:%u: %s", is_v6 ? "[" : "", t->hop.host,
                                                is_v6 ? "]" : "", t->hop.port, message)
                                    : NULL;
  fetch_tell_end(&t->fetch, error, text ? text : message);
  free(text); // the transfer may be gone
}

static void on_timeout(struct timer *timer) {
  struct transfer *t = container_of(timer, struct transfer, timer);
  struct http_client *c = client_of(t);
  const char *what;
  if (transfer_deadline(t, &what) > c->loop->now) transfer_watch(t);
  else end_transfer(t, FETCH_TIMEOUT, what);
}

static bool has_proxy(const struct transfer *t) { return client_of(t)->has_proxy[t->hop.is_secure]; }

static void start(struct transfer *t) {
  struct http_client *c = client_of(t);
  move(t, &c->running);
  t->state = TRANSFER_RUNNING, t->is_plain = transfer_is_plain(t, has_proxy(t));
  if (t->is_plain) {
    plain_start(&c->plain, t);
    return;
  }
  easy_prepare(t, c->bundle);
  c->in_call++;
  curl_multi_add_handle(c->multi, t->easy);
  c->in_call--;
}

static void on_name(struct lookup *l, const struct resolved *found) {
  struct transfer *t = container_of(l, struct transfer, lookup);
  transfer_take_name(t, found);
  t->state = TRANSFER_WAITING;
  move(t, &client_of(t)->waiting);
}

// What is to be said where it is not libcurl that ends it.
static const char *own_text(const struct transfer *t) {
  switch (t->error) {
  case FETCH_URL: return "not a URL of http or https";
  case FETCH_PRIVATE: return "an address of a private network, which is refused";
  case FETCH_CLOSED:
    return "the kept connection broke, and the request is not repeated: the server may have had it";
  case FETCH_TOO_LARGE:
    return "a head larger than limits.http_head, or of more fields than limits.http_fields";
  case FETCH_PROTOCOL:
    return t->fetch.status ? "an interim answer with nothing behind it" : "what came is no answer of HTTP";
  case FETCH_REDIRECTS: return "too many redirects, or one that cannot be followed";
  default: return t->text;
  }
}

static void begin(struct transfer *t) {
  struct http_client *c = client_of(t);
  const struct resolved *found = NULL;
  if (!t->has_resolved && !t->error) {
    transfer_begin(t);
    t->lookup.on_found = on_name;
    transfer_watch(t);
    bool needs_name = transfer_needs_name(t, has_proxy(t));
    if (needs_name) found = resolver_find(c->resolver, t->hop.host, &t->lookup);
    if (found) transfer_take_name(t, found);
    else if (!needs_name) transfer_check_literal(t);
    else {
      t->state = TRANSFER_RESOLVING;
      move(t, &c->running);
      return;
    }
  }
  if (t->error) end_transfer(t, t->error, own_text(t));
  else start(t);
}

static void go_to_next(struct transfer *t) {
  t->error = hop_follow(&t->hop, t->fetch.status, fetch_field(&t->fetch, SPAN("location")));
  leave_carrier(t, true);
  t->has_resolved = false, t->state = TRANSFER_WAITING;
  move(t, &client_of(t)->waiting);
}

static void complete(struct transfer *t, enum fetch_error error, const char *text) {
  if (t->is_redirect && !t->error) {
    go_to_next(t);
    return;
  }
  if (!error && !t->fetch.has_head) t->error = error = FETCH_PROTOCOL;
  end_transfer(t, error, t->error ? own_text(t) : text);
}

static void free_doomed(struct http_client *c) {
  for (struct list *node; (node = list_shift(&c->doomed));) {
    struct transfer *t = transfer_of(node);
    leave_carrier(t, false);
    loop_disarm(c->loop, &t->timer);
    easy_free(t);
    transfer_free(t);
  }
}

static void complete_easy(struct transfer *t, CURLcode result) {
  enum fetch_error error = easy_error(t, result);
  complete(t, error, *t->text ? t->text : curl_easy_strerror(result));
}

// What has become of the transfers in the call that has returned.
static void settle(struct http_client *c) {
  int left;
  free_doomed(c);
  for (CURLMsg *m; (m = curl_multi_info_read(c->multi, &left));) {
    char *owner = NULL;
    CURLcode result = m->data.result; // the message does not outlast the handle's removal
    curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, &owner);
    if (owner) complete_easy((struct transfer *)(void *)owner, result);
  }
}

static void on_plain_step(struct plain_pool *p, struct transfer *t, enum plain_outcome outcome) {
  struct http_client *c = container_of(p, struct http_client, plain);
  bool is_gone = t->is_doomed;
  if (!c->in_call) free_doomed(c);
  if (is_gone || outcome == PLAIN_GOES_ON) return;
  if (*t->text) end_transfer(t, t->error, t->text);
  else complete(t, t->error, "");
}

static void act(struct http_client *c, curl_socket_t fd, int events) {
  int running;
  c->in_call++;
  curl_multi_socket_action(c->multi, fd, events, &running);
  c->in_call--;
  settle(c);
}

static void on_ready(struct watch *w, unsigned events) {
  struct http_client *c = container_of(w, struct client_socket, watch)->client;
  int fd = watch_fd(w); // the watch may go within the call
  act(c, fd, (events & WATCH_READ ? CURL_CSELECT_IN : 0) | (events & WATCH_WRITE ? CURL_CSELECT_OUT : 0));
}

// What libcurl calls IN and OUT has the numbers of what a watch calls so.
static int on_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *known) {
  struct http_client *c = arg;
  struct client_socket *s = known;
  (void)easy;
  if (what == CURL_POLL_REMOVE) {
    if (s) watch_stop(&s->watch), free(s);
    curl_multi_assign(c->multi, fd, NULL);
    return 0;
  }
  if (!s) {
    s = xcalloc(1, sizeof *s);
    s->client = c, s->watch.on_ready = on_ready;
    watch_start(&s->watch, c->loop, fd, 0);
    curl_multi_assign(c->multi, fd, s);
  }
  watch_set(&s->watch, (unsigned)what & (CURL_POLL_IN | CURL_POLL_OUT));
  return 0;
}

static void on_timer(struct timer *timer) {
  act(container_of(timer, struct http_client, timer), CURL_SOCKET_TIMEOUT, 0);
}

static int on_time(CURLM *multi, long ms, void *arg) {
  struct http_client *c = arg;
  (void)multi;
  c->is_due = ms == 0;
  if (ms <= 0) loop_disarm(c->loop, &c->timer);
  else loop_arm(c->loop, &c->timer, clock_now(c->loop->clock) + (double)ms / 1000);
  return 0;
}

static bool has_work(struct loop_hook *h) {
  const struct http_client *c = container_of(h, struct http_client, fetcher.hook);
  return c->is_due || !list_empty(&c->waiting) || !list_empty(&c->going_on) || !list_empty(&c->doomed);
}

static void go_on(struct transfer *t) {
  struct http_client *c = client_of(t);
  t->is_starved &= !t->fetch.upload.len && !t->fetch.upload_ended;
  transfer_watch(t);
  if (t->is_plain) {
    if (t->plain) plain_go_on(t); // which may have been its end
    return;
  }
  c->in_call++;
  easy_go_on(t);
  c->in_call--;
}

static void go_on_all(struct http_client *c) {
  struct list now;
  list_init(&now);
  list_splice(&now, &c->going_on);
  for (struct list *node; (node = list_shift(&now));) {
    struct transfer *t = transfer_of(node);
    list_append(&c->running, &t->link);
    go_on(t);
  }
}

static bool run(struct loop_hook *h) {
  struct http_client *c = container_of(h, struct http_client, fetcher.hook);
  for (struct list *node; (node = list_shift(&c->waiting));) begin(transfer_of(node));
  go_on_all(c);
  settle(c);
  if (c->is_due) c->is_due = false, act(c, CURL_SOCKET_TIMEOUT, 0);
  return has_work(h);
}

static struct fetch *open_fetch(struct fetcher *r, const struct fetch_request *request) {
  struct http_client *c = container_of(r, struct http_client, fetcher);
  struct transfer *t = transfer_new(r, request);
  t->timer.on_fire = on_timeout;
  list_append(&c->waiting, &t->link);
  return &t->fetch;
}

static void go_on_soon(struct fetch *f) {
  struct transfer *t = container_of(f, struct transfer, fetch);
  t->active_at = client_of(t)->loop->now;
  transfer_watch(t);
  if (t->state == TRANSFER_RUNNING && (t->is_held || t->is_starved)) move(t, &client_of(t)->going_on);
}

static void free_fetch(struct fetch *f) {
  struct transfer *t = container_of(f, struct transfer, fetch);
  struct http_client *c = client_of(t);
  t->is_doomed = true;
  move(t, &c->doomed);
  if (!c->in_call) free_doomed(c);
}

static void write_text(struct buf *out, const char *name, struct span text) {
  buf_printf(out, ",\"%s\":\"", name);
  escape_quoted(out, text, true);
  buf_append_byte(out, '"');
}

static const char *state_name(const struct transfer *t) {
  static const char *const names[] = {[TRANSFER_WAITING] = "waiting",
                                      [TRANSFER_RESOLVING] = "resolving",
                                      [TRANSFER_RUNNING] = "connecting",
                                      [TRANSFER_ENDED] = "ended"};
  if (t->state != TRANSFER_RUNNING || !t->has_connected) return names[t->state];
  return t->fetch.has_head ? t->fetch.is_paused ? "held back" : "answering" : "asked";
}

// A path may be a secret as well as a query, so only where it goes is told.
static void write_row(struct buf *out, const struct transfer *t) {
  double now = t->fetch.fetcher->service->loop->now;
  buf_printf(out, "{\"age\":%.3f,\"silent\":%.3f,\"status\":%d,\"bytes_out\":%" PRIu64, now - t->asked_at,
             now - t->active_at, t->fetch.has_head ? t->fetch.status : 0, t->fetch.bytes_out);
  write_text(out, "method", span_of(t->hop.method));
  write_text(out, "host", span_of(t->hop.host ? t->hop.host : ""));
  write_text(out, "state", span_of(state_name(t)));
  buf_printf(out, ",\"port\":%u,\"is_secure\":%s}\n", t->hop.port, t->hop.is_secure ? "true" : "false");
}

enum { ROWS_MAX = 500 };

static void list_open(const struct fetcher *r, struct buf *out) {
  const struct http_client *c = container_of(r, struct http_client, fetcher);
  const struct list *lists[] = {&c->running, &c->waiting, &c->going_on};
  size_t rows = 0;
  for (size_t i = 0; i < countof(lists); i++)
    list_each (node, lists[i])
      if (rows++ < ROWS_MAX) write_row(out, transfer_of(node));
}

static const struct fetcher_ops ops = {
    .open = open_fetch, .resume = go_on_soon, .send = go_on_soon, .free = free_fetch, .list = list_open};

// The file of certificates: where the environment says, else where systems have it.
static const char *find_bundle(void) {
  static const char *const files[] = {"/etc/ssl/certs/ca-certificates.crt",
                                      "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"};
  const char *named = getenv("SSL_CERT_FILE");
  if (named && *named) return named;
  for (size_t i = 0; i < countof(files); i++)
    if (access(files[i], R_OK) == 0) return files[i];
  return files[0];
}

const char *http_client_library_version(void) { return curl_version_info(CURLVERSION_NOW)->version; }

void http_client_prepare_process(void) { curl_global_init(CURL_GLOBAL_DEFAULT); }

struct fetcher *http_client_new(struct service *s) {
  struct http_client *c = xcalloc(1, sizeof *c);
  c->fetcher = (struct fetcher){.ops = &ops, .service = s, .hook = {.run = run, .is_ready = has_work}};
  c->loop = s->loop, c->bundle = find_bundle(), c->timer.on_fire = on_timer;
  list_init(&c->fetcher.hook.link);
  list_init(&c->waiting);
  list_init(&c->going_on);
  list_init(&c->doomed);
  list_init(&c->running);
  c->resolver = resolver_new(s->loop, s->inbox, &s->pools[WORK_NAMES]);
  c->has_proxy[false] = transfer_has_proxy(false), c->has_proxy[true] = transfer_has_proxy(true);
  plain_pool_init(&c->plain, c->loop);
  c->plain.in_call = &c->in_call, c->plain.on_step = on_plain_step;
  c->multi = curl_multi_init();
  if (!c->multi) abort();
  curl_multi_setopt(c->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
  curl_multi_setopt(c->multi, CURLMOPT_SOCKETDATA, c);
  curl_multi_setopt(c->multi, CURLMOPT_TIMERFUNCTION, on_time);
  curl_multi_setopt(c->multi, CURLMOPT_TIMERDATA, c);
  curl_multi_setopt(c->multi, CURLMOPT_MAXCONNECTS, (long)CONNECTIONS_KEPT);
  curl_multi_setopt(c->multi, CURLMOPT_PIPELINING, (long)CURLPIPE_NOTHING);
  return &c->fetcher;
}

void http_client_free(struct fetcher *r) {
  struct http_client *c = container_of(r, struct http_client, fetcher);
  loop_hook_remove(c->loop, &r->hook);
  plain_pool_deinit(&c->plain);
  c->in_call++;
  curl_multi_cleanup(c->multi);
  c->in_call--;
  loop_disarm(c->loop, &c->timer);
  resolver_free(c->resolver);
  free(c);
}
