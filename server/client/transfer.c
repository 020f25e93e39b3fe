// SPDX-License-Identifier: MIT
// The callbacks of an easy handle, and its options. A callback that finds that the transfer is to end notes
// why and returns what makes libcurl give up; the client, which has called libcurl, sees to the rest behind
// it.
#include "client/transfer.h"
#include <fcntl.h>
#include <math.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/cidr.h"
#include "base/mem.h"
#include "serve/service.h"

enum { BUFFER_LEN = 16 << 10, DISCARD_MAX = 64 << 10, ONCE_IDLE_SECONDS = 4 };

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
  if (t->has_connected && (t->fetch.is_paused || t->is_starved)) phase = INFINITY; // it is we who wait
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

static bool give_up(struct transfer *t, enum fetch_error error) {
  if (!t->error) t->error = error;
  return false;
}

static bool refuses_private(const struct transfer *t) {
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

static size_t on_header(char *bytes, size_t one, size_t n, void *arg) {
  struct transfer *t = arg;
  struct span line = {bytes, n};
  (void)one;
  t->active_at = now(t);
  while (line.len && (line.bytes[line.len - 1] == '\n' || line.bytes[line.len - 1] == '\r')) line.len--;
  bool is_trailer = t->fetch.state != FETCH_ASKED || t->is_redirect;
  bool ok = is_trailer ||
            (line.len ? fetch_head_line(&t->fetch, line) || give_up(t, FETCH_TOO_LARGE) : end_head(t));
  return ok ? n : 0;
}

static size_t on_bytes(char *bytes, size_t one, size_t n, void *arg) {
  struct transfer *t = arg;
  (void)one;
  t->active_at = now(t);
  if (t->is_redirect) return (t->discarded += n) > DISCARD_MAX ? 0 : n;
  if (!t->fetch.has_head) return give_up(t, FETCH_PROTOCOL); // 101, behind which libcurl has a body
  if (t->fetch.is_paused) {
    t->is_held = true;
    return CURL_WRITEFUNC_PAUSE;
  }
  fetch_tell_body(&t->fetch, (struct span){bytes, n});
  return t->is_doomed ? 0 : n;
}

static size_t on_wanted(char *into, size_t one, size_t max, void *arg) {
  struct transfer *t = arg;
  struct fetch *f = &t->fetch;
  size_t n = one * max;
  t->active_at = now(t);
  if (t->hop.body_kind == FETCH_BODY_WHOLE) {
    n = MIN(n, t->hop.body.len - t->body_at);
    if (n) memcpy(into, t->hop.body.bytes + t->body_at, n);
    t->body_at += n;
    fetch_count_sent(f, n);
    return n;
  }
  n = fetch_take_upload(f, into, n);
  t->is_starved = !n && !f->upload_ended;
  if (!f->upload.len && !f->upload_ended) fetch_tell_room(f);
  if (t->is_doomed) return CURL_READFUNC_ABORT;
  return t->is_starved ? CURL_READFUNC_PAUSE : n;
}

static int on_rewind(void *arg, curl_off_t offset, int origin) {
  struct transfer *t = arg;
  if (origin != SEEK_SET || offset < 0 || (size_t)offset > t->hop.body.len) return CURL_SEEKFUNC_FAIL;
  t->body_at = (size_t)offset;
  return CURL_SEEKFUNC_OK;
}

static bool sockaddr_is_private(const struct sockaddr *to) {
  bool is_v4 = to->sa_family == AF_INET;
  const void *bytes = is_v4 ? (const void *)&((const struct sockaddr_in *)(const void *)to)->sin_addr
                            : (const void *)&((const struct sockaddr_in6 *)(const void *)to)->sin6_addr;
  if (!is_v4 && to->sa_family != AF_INET6) return true;
  struct address a = address_of_bytes(bytes, is_v4 ? 4 : 16);
  return address_is_private(&a);
}

// Each address is asked for here after its name has been resolved; libcurl's own call would let programs that
// are started inherit the descriptor.
static curl_socket_t on_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *to) {
  struct transfer *t = arg;
  (void)purpose;
  if (refuses_private(t) && to->family != AF_UNIX && sockaddr_is_private(&to->addr)) {
    give_up(t, FETCH_PRIVATE);
    return CURL_SOCKET_BAD;
  }
  return socket(to->family, to->socktype | SOCK_CLOEXEC, to->protocol);
}

// Before the request is sent, on a connection that was kept as well: whoever opened that may have been
// allowed to.
static int on_connected(void *arg, char *address, char *local, int port, int local_port) {
  struct transfer *t = arg;
  struct address peer;
  (void)local, (void)port, (void)local_port;
  if (t->has_connected && t->is_once)
    return give_up(t, FETCH_CLOSED), CURL_PREREQFUNC_ABORT; // it was sent before
  t->has_connected = true, t->active_at = now(t);
  transfer_watch(t);
  bool is_private = refuses_private(t) && !t->hop.unix_path &&
                    (!address_parse(span_of(address), &peer) || address_is_private(&peer));
  if (is_private) give_up(t, FETCH_PRIVATE);
  return is_private ? CURL_PREREQFUNC_ABORT : CURL_PREREQFUNC_OK;
}

#define SET(t, option, value) (void)curl_easy_setopt((t)->easy, CURLOPT_##option, value)

static void set_limits(struct transfer *t) {
  SET(t, NOSIGNAL, 1L);
  SET(t, QUICK_EXIT, 1L); // no thread that looks up a name is waited for
  SET(t, PROTOCOLS_STR, "http,https");
  SET(t, REDIR_PROTOCOLS_STR, "http,https");
  SET(t, FOLLOWLOCATION, 0L);
  SET(t, BUFFERSIZE, (long)BUFFER_LEN);
  SET(t, UPLOAD_BUFFERSIZE, (long)BUFFER_LEN);
  SET(t, CONNECTTIMEOUT_MS, 0x7fffffffL); // the client's own timer is earlier
  SET(t, SUPPRESS_CONNECT_HEADERS, 1L);
  SET(t, TCP_KEEPALIVE, 1L);
  SET(t, USERAGENT, "spate/" SPATE_VERSION);
  SET(t, HTTP_VERSION, (long)CURL_HTTP_VERSION_2TLS);
  SET(t, ERRORBUFFER, t->text);
  SET(t, PRIVATE, t);
}

static void set_callbacks(struct transfer *t) {
  SET(t, HEADERFUNCTION, on_header);
  SET(t, HEADERDATA, t);
  SET(t, WRITEFUNCTION, on_bytes);
  SET(t, WRITEDATA, t);
  SET(t, READFUNCTION, on_wanted);
  SET(t, READDATA, t);
  SET(t, OPENSOCKETFUNCTION, on_socket);
  SET(t, OPENSOCKETDATA, t);
  SET(t, PREREQFUNCTION, on_connected);
  SET(t, PREREQDATA, t);
}

// The store of trusted certificates is shared by all connections only where no folder of them is set: else
// each has its own, of nearly a megabyte.
static void set_tls(struct transfer *t, const char *bundle) {
  const struct hop *h = &t->hop;
  SET(t, CAPATH, NULL);
  SET(t, CAINFO, h->ca ? h->ca : bundle);
  SET(t, SSLCERT, h->cert);
  SET(t, SSLKEY, h->key);
  SET(t, SSL_VERIFYPEER, h->is_unverified ? 0L : 1L);
  SET(t, SSL_VERIFYHOST, h->is_unverified ? 0L : 2L);
}

static bool is_any_of(const char *method, const char *const *methods) {
  for (; *methods; methods++)
    if (!strcmp(method, *methods)) return true;
  return false;
}

// libcurl repeats a request by itself where a kept connection breaks before a byte of the answer. One that
// must not be made twice is stopped before that (on_connected), and goes over connections only that their
// server has hardly given up.
static void set_method(struct transfer *t) {
  static const char *const with_body[] = {"POST", "PUT", "PATCH", NULL}, *const once[] = {"POST", "PATCH",
                                                                                          NULL};
  const struct hop *h = &t->hop;
  bool has_body = h->body_kind != FETCH_BODY_NONE || is_any_of(h->method, with_body);
  bool is_head = !strcmp(h->method, "HEAD"), is_whole = h->body_kind != FETCH_BODY_PIECES;
  t->is_once = is_any_of(h->method, once);
  SET(t, NOBODY, is_head ? 1L : 0L);
  SET(t, UPLOAD, has_body ? 1L : 0L);
  if (!has_body && !is_head) SET(t, HTTPGET, 1L);
  SET(t, CUSTOMREQUEST, h->method);
  SET(t, INFILESIZE_LARGE, (curl_off_t)(is_whole ? (int64_t)h->body.len : h->body_length));
  if (t->is_once) SET(t, MAXAGE_CONN, (long)ONCE_IDLE_SECONDS);
  if (is_whole && !t->is_once) SET(t, SEEKFUNCTION, on_rewind);
  SET(t, SEEKDATA, t);
}

// http_proxy in lower case only: a field "Proxy" of a CGI's request would set the other.
static bool has_proxy(bool is_secure) {
  static const char *const plain[] = {"http_proxy", "all_proxy", "ALL_PROXY", NULL};
  static const char *const secure[] = {"https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY", NULL};
  const char *value = NULL;
  for (const char *const *name = is_secure ? secure : plain; *name && !(value && *value); name++)
    value = getenv(*name);
  return value && *value;
}

bool transfer_needs_name(const struct transfer *t) {
  struct address literal;
  if (t->hop.unix_path || address_parse(span_of(t->hop.host), &literal)) return false;
  return refuses_private(t) || !has_proxy(t->hop.is_secure);
}

void transfer_check_literal(struct transfer *t) {
  struct address a;
  bool is_literal = !t->hop.unix_path && address_parse(span_of(t->hop.host), &a);
  if (is_literal && refuses_private(t) && address_is_private(&a)) give_up(t, FETCH_PRIVATE);
}

bool transfer_take_name(struct transfer *t, const struct resolved *found) {
  t->resolved = *found, t->resolved.count = 0, t->has_resolved = true;
  for (unsigned i = 0; i < found->count; i++)
    if (!refuses_private(t) || !address_is_private(&found->addresses[i]))
      t->resolved.addresses[t->resolved.count++] = found->addresses[i];
  if (t->resolved.count) return true;
  snprintf(t->text, sizeof t->text, "%s", found->why);
  return give_up(t, found->count ? FETCH_PRIVATE : FETCH_NAME);
}

// "+host:port:address,address", which libcurl keeps for no longer than what it finds itself.
static void set_addresses(struct transfer *t) {
  struct buf line = {0};
  char text[ADDRESS_TEXT_MAX];
  if (!t->has_resolved) return;
  buf_printf(&line, "+%s:%u:", t->hop.host, t->hop.port);
  for (unsigned i = 0; i < t->resolved.count; i++) {
    const struct address *a = &t->resolved.addresses[i];
    address_text(a, text);
    buf_printf(&line, a->family == ADDRESS_V6 ? "%s[%s]" : "%s%s", i ? "," : "", text);
  }
  buf_append_byte(&line, 0);
  t->resolve = curl_slist_append(NULL, line.bytes);
  buf_deinit(&line);
  SET(t, RESOLVE, t->resolve);
}

void transfer_begin(struct transfer *t) {
  curl_slist_free_all(t->resolve);
  t->resolve = NULL;
  t->has_resolved = t->is_redirect = t->has_connected = t->is_starved = t->is_held = false;
  t->discarded = t->body_at = 0, t->text[0] = 0;
  t->began_at = t->active_at = now(t);
}

void transfer_prepare(struct transfer *t, const char *bundle) {
  const struct hop *h = &t->hop;
  char *url = NULL;
  curl_easy_reset(t->easy);
  if (curl_url_get(h->url, CURLUPART_URL, &url, 0) == CURLUE_OK) SET(t, URL, url);
  curl_free(url);
  set_limits(t);
  set_callbacks(t);
  set_tls(t, bundle);
  set_method(t);
  set_addresses(t);
  SET(t, HTTPHEADER, h->fields);
  SET(t, UNIX_SOCKET_PATH, h->unix_path);
  if (refuses_private(t)) SET(t, PROXY, ""); // which would resolve names as it likes
  if (!h->user) return;
  SET(t, HTTPAUTH, (long)CURLAUTH_BASIC);
  SET(t, USERNAME, h->user);
  SET(t, PASSWORD, h->password ? h->password : "");
}

enum fetch_error transfer_error(struct transfer *t, CURLcode result) {
  if (t->error) return t->error;
  if (result == CURLE_UNSUPPORTED_PROTOCOL && t->has_connected) return FETCH_PROTOCOL; // HTTP/0.9
  switch (result) {
  case CURLE_OK: return FETCH_OK;
  case CURLE_SEND_FAIL_REWIND: return give_up(t, FETCH_CLOSED), FETCH_CLOSED; // it would have been repeated
  case CURLE_URL_MALFORMAT:
  case CURLE_UNSUPPORTED_PROTOCOL: return FETCH_URL;
  case CURLE_COULDNT_RESOLVE_HOST:
  case CURLE_COULDNT_RESOLVE_PROXY: return FETCH_NAME;
  case CURLE_COULDNT_CONNECT: return FETCH_REFUSED;
  case CURLE_OPERATION_TIMEDOUT: return FETCH_TIMEOUT;
  case CURLE_SSL_CONNECT_ERROR:
  case CURLE_PEER_FAILED_VERIFICATION:
  case CURLE_SSL_CERTPROBLEM:
  case CURLE_SSL_CIPHER:
  case CURLE_SSL_CACERT_BADFILE:
  case CURLE_SSL_ISSUER_ERROR:
  case CURLE_SSL_INVALIDCERTSTATUS: return FETCH_TLS;
  case CURLE_WEIRD_SERVER_REPLY: return FETCH_PROTOCOL;
#if LIBCURL_VERSION_NUM >= 0x080600
  case CURLE_TOO_LARGE: return FETCH_TOO_LARGE;
#endif
  default: return FETCH_CLOSED;
  }
}

void transfer_go_on(struct transfer *t) {
  t->is_held &= t->fetch.is_paused;
  t->is_starved &= !t->fetch.upload.len && !t->fetch.upload_ended;
  transfer_watch(t);
  curl_easy_pause(t->easy, (t->is_held ? CURLPAUSE_RECV : 0) | (t->is_starved ? CURLPAUSE_SEND : 0));
}

struct transfer *transfer_new(struct fetcher *r, const struct fetch_request *request) {
  struct transfer *t = xcalloc(1, sizeof *t);
  fetch_init(&t->fetch, r);
  list_init(&t->link);
  list_init(&t->lookup.link);
  t->error = hop_init(&t->hop, request);
  t->easy = curl_easy_init();
  if (!t->easy) abort();
  t->asked_at = t->began_at = t->active_at = now(t);
  return t;
}

void transfer_free(struct transfer *t) {
  curl_easy_cleanup(t->easy);
  curl_slist_free_all(t->resolve);
  lookup_leave(&t->lookup);
  hop_deinit(&t->hop);
  list_remove(&t->link);
  fetch_deinit(&t->fetch);
  free(t);
}
