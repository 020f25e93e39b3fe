// SPDX-License-Identifier: MIT
// The callbacks of an easy handle, and its options. A callback that finds that the transfer is to end returns
// what makes libcurl give up. Nothing here touches the multi handle.
#include "client/easy.h"
#include <stdlib.h>
#include <sys/socket.h>
#include "base/cidr.h"
#include "base/mem.h"
#include "loop/sock.h"
#include "serve/service.h"

enum { BUFFER_LEN = 16 << 10, ONCE_IDLE_SECONDS = 4 };

static double now(const struct transfer *t) { return t->fetch.fetcher->service->loop->now; }

static size_t on_header(char *bytes, size_t one, size_t n, void *arg) {
  struct transfer *t = arg;
  struct span line = {bytes, n};
  (void)one;
  t->active_at = now(t);
  while (line.len && (line.bytes[line.len - 1] == '\n' || line.bytes[line.len - 1] == '\r')) line.len--;
  return transfer_take_line(t, line) ? n : 0;
}

static size_t on_bytes(char *bytes, size_t one, size_t n, void *arg) {
  struct transfer *t = arg;
  (void)one;
  t->active_at = now(t);
  if (t->is_redirect) return transfer_take_body(t, (struct span){bytes, n}) ? n : 0;
  if (!t->fetch.has_head) return transfer_give_up(t, FETCH_PROTOCOL); // 101, behind which libcurl has a body
  if (t->fetch.is_paused) {
    t->is_held = true;
    return CURL_WRITEFUNC_PAUSE;
  }
  return transfer_take_body(t, (struct span){bytes, n}) ? n : 0;
}

static size_t on_wanted(char *into, size_t one, size_t max, void *arg) {
  struct transfer *t = arg;
  size_t n = one * max;
  t->active_at = now(t);
  if (t->hop.body_kind == FETCH_BODY_WHOLE) {
    n = MIN(n, t->hop.body.len - t->body_at);
    if (n) memcpy(into, t->hop.body.bytes + t->body_at, n);
    t->body_at += n;
    fetch_count_sent(&t->fetch, n);
    return n;
  }
  n = transfer_take_upload(t, into, n);
  if (t->is_doomed) return CURL_READFUNC_ABORT;
  return t->is_starved ? CURL_READFUNC_PAUSE : n;
}

static int on_rewind(void *arg, curl_off_t offset, int origin) {
  struct transfer *t = arg;
  if (origin != SEEK_SET || offset < 0 || (size_t)offset > t->hop.body.len) return CURL_SEEKFUNC_FAIL;
  t->body_at = (size_t)offset;
  return CURL_SEEKFUNC_OK;
}

// Each address is asked for here after its name has been resolved; libcurl's own call would let programs that
// are started inherit the descriptor.
static curl_socket_t on_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *to) {
  struct transfer *t = arg;
  struct address address = sock_address(&to->addr);
  (void)purpose;
  if (transfer_refuses_private(t) && to->family != AF_UNIX && address_is_private(&address)) {
    transfer_give_up(t, FETCH_PRIVATE);
    return CURL_SOCKET_BAD;
  }
  return socket(to->family, to->socktype | SOCK_CLOEXEC, to->protocol);
}

// What libcurl says of the server's own certificate; not its bytes, which it has as well.
static void note_certificate(struct transfer *t) {
  struct curl_certinfo *chain = NULL;
  t->fetch.certificate.len = 0;
  if (curl_easy_getinfo(t->easy, CURLINFO_CERTINFO, &chain) != CURLE_OK || !chain || !chain->num_of_certs)
    return;
  for (const struct curl_slist *line = chain->certinfo[0]; line; line = line->next)
    if (!strchr(line->data, '\n')) buf_printf(&t->fetch.certificate, "%s\n", line->data);
}

// Before the request is sent, on a connection that was kept as well: whoever opened that may have been
// allowed to.
static int on_connected(void *arg, char *address, char *local, int port, int local_port) {
  struct transfer *t = arg;
  struct address peer;
  (void)local, (void)port, (void)local_port;
  if (t->hop.wants_certificate) note_certificate(t);
  if (!address_parse(span_of(address), &peer)) peer = (struct address){.family = ADDRESS_UNIX}; // not public
  return transfer_note_connected(t, &peer) ? CURL_PREREQFUNC_OK : CURL_PREREQFUNC_ABORT;
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
  SET(t, CERTINFO, h->wants_certificate ? 1L : 0L);
  SET(t, FRESH_CONNECT, h->wants_certificate ? 1L : 0L); // one that was kept does not tell
}

// libcurl repeats a request by itself where a kept connection breaks before a byte of the answer. One that
// must not be made twice is stopped before that (on_connected), and goes over connections only that their
// server has hardly given up.
static void set_method(struct transfer *t) {
  const struct hop *h = &t->hop;
  bool has_body = hop_has_body(h);
  bool is_head = !strcmp(h->method, "HEAD"), is_whole = h->body_kind != FETCH_BODY_PIECES;
  SET(t, NOBODY, is_head ? 1L : 0L);
  SET(t, UPLOAD, has_body ? 1L : 0L);
  if (!has_body && !is_head) SET(t, HTTPGET, 1L);
  SET(t, CUSTOMREQUEST, h->method);
  SET(t, INFILESIZE_LARGE, (curl_off_t)(is_whole ? (int64_t)h->body.len : h->body_length));
  if (t->is_once) SET(t, MAXAGE_CONN, (long)ONCE_IDLE_SECONDS);
  if (is_whole && !t->is_once) SET(t, SEEKFUNCTION, on_rewind);
  SET(t, SEEKDATA, t);
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

static void add_line(struct transfer *t, const char *line) {
  struct curl_slist *longer = curl_slist_append(t->fields, line);
  if (!longer) abort();
  t->fields = longer;
}

// Without a word of "Expect" libcurl asks before a large body, and waits a second for servers that do not
// know of that.
static void set_fields(struct transfer *t) {
  struct span rest = buf_span(&t->hop.fields);
  struct field f;
  bool expects = false;
  while (hop_next_field(&rest, &f)) {
    char *line = f.value.len ? xasprintf(SPAN_FMT ": " SPAN_FMT, SPAN_ARG(f.name), SPAN_ARG(f.value))
                             : xasprintf(SPAN_FMT ";", SPAN_ARG(f.name)); // its way to say an empty value
    add_line(t, line);
    free(line);
    expects |= span_equal_nocase(f.name, SPAN("expect"));
  }
  if (!expects) add_line(t, "Expect:");
  SET(t, HTTPHEADER, t->fields);
}

static void free_lists(struct transfer *t) {
  curl_slist_free_all(t->resolve);
  curl_slist_free_all(t->fields);
  t->resolve = t->fields = NULL;
}

void easy_prepare(struct transfer *t, const char *bundle) {
  const struct hop *h = &t->hop;
  free_lists(t);
  if (!t->easy) t->easy = curl_easy_init();
  else curl_easy_reset(t->easy);
  if (!t->easy) abort();
  char *url = hop_url(h);
  SET(t, URL, url);
  free(url);
  set_limits(t);
  set_callbacks(t);
  set_tls(t, bundle);
  set_method(t);
  set_addresses(t);
  set_fields(t);
  SET(t, UNIX_SOCKET_PATH, h->unix_path);
  if (transfer_refuses_private(t)) SET(t, PROXY, ""); // which would resolve names as it likes
  if (!h->user) return;
  SET(t, HTTPAUTH, (long)CURLAUTH_BASIC);
  SET(t, USERNAME, h->user);
  SET(t, PASSWORD, h->password ? h->password : "");
}

enum fetch_error easy_error(struct transfer *t, CURLcode result) {
  if (t->error) return t->error;
  if (result == CURLE_UNSUPPORTED_PROTOCOL && t->has_connected) return FETCH_PROTOCOL; // HTTP/0.9
  switch (result) {
  case CURLE_OK: return FETCH_OK;
  case CURLE_SEND_FAIL_REWIND:
    return transfer_give_up(t, FETCH_CLOSED), FETCH_CLOSED; // it would have been repeated
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

void easy_go_on(struct transfer *t) {
  t->is_held &= t->fetch.is_paused;
  bool waits = t->is_starved && !t->fetch.upload_stopped; // at the answer's end too
  curl_easy_pause(t->easy, (t->is_held ? CURLPAUSE_RECV : 0) | (waits ? CURLPAUSE_SEND : 0));
}

void easy_free(struct transfer *t) {
  if (t->easy) curl_easy_cleanup(t->easy);
  free_lists(t);
}
