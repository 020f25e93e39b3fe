// SPDX-License-Identifier: MIT
// Redirects are followed by hand, so that each address is checked before it is connected to, and so that what
// a script has put into its fields does not get to another host: of those only the few pass that say nothing
// of who asks.
#include "client/hop.h"
#include <stdlib.h>
#include "base/digits.h"
#include "base/mem.h"

#ifdef CURLU_PUNYCODE
enum { HOST_FLAGS = CURLU_PUNYCODE };
#else
enum { HOST_FLAGS = 0 };
#endif

static char *copy_span(struct span s) { return s.bytes ? xstrndup(s.bytes, s.len) : NULL; }

static char *copy_text(const char *text) { return text ? xstrdup(text) : NULL; }

// One part of the url, the caller's with curl_free; NULL where it has none.
static char *part(const struct hop *h, CURLUPart which, unsigned flags) {
  char *text = NULL;
  return curl_url_get(h->url, which, &text, flags) == CURLUE_OK ? text : NULL;
}

// The text with what is not ASCII in percent signs (RFC 3986 2.1).
static void add_ascii(struct buf *out, const char *text) {
  for (; *text; text++) {
    if (*text & 0x80) buf_printf(out, "%%%02X", (unsigned char)*text);
    else buf_append(out, text, 1);
  }
}

// What is asked for in a request's first line.
static void read_target(struct hop *h) {
  char *path = part(h, CURLUPART_PATH, 0), *query = part(h, CURLUPART_QUERY, 0);
  struct buf target = {0};
  add_ascii(&target, path ? path : "/");
  if (query) buf_append(&target, "?", 1), add_ascii(&target, query);
  free(h->target);
  h->target = xstrndup(target.bytes, target.len);
  buf_deinit(&target);
  curl_free(path);
  curl_free(query);
}

// Notes host, port and target; a user and password in it become those of the request where it has none.
static bool read_url(struct hop *h, bool takes_user) {
  char *scheme = part(h, CURLUPART_SCHEME, 0), *host = part(h, CURLUPART_HOST, HOST_FLAGS);
  char *port = part(h, CURLUPART_PORT, CURLU_DEFAULT_PORT), *user = part(h, CURLUPART_USER, CURLU_URLDECODE);
  char *password = part(h, CURLUPART_PASSWORD, CURLU_URLDECODE);
  bool ok = scheme && host && port && *host && (!strcmp(scheme, "http") || !strcmp(scheme, "https"));
  free(h->host);
  h->host = NULL;
  if (ok) {
    size_t len = strlen(host);
    bool has_brackets = host[0] == '[' && len > 2;
    h->host = has_brackets ? xstrndup(host + 1, len - 2) : xstrdup(host);
    h->port = (unsigned)atoi(port), h->is_secure = !strcmp(scheme, "https");
  }
  if (ok && takes_user && user && !h->user) h->user = xstrdup(user), h->password = copy_text(password);
  curl_url_set(h->url, CURLUPART_USER, NULL, 0);
  curl_url_set(h->url, CURLUPART_PASSWORD, NULL, 0);
  curl_url_set(h->url, CURLUPART_FRAGMENT, NULL, 0);
  if (ok) read_target(h);
  char *const parts[] = {scheme, host, port, user, password};
  for (size_t i = 0; i < countof(parts); i++) curl_free(parts[i]);
  return ok;
}

static bool parse_url(struct hop *h, struct span text) {
  h->url = curl_url();
  if (!h->url) abort();
  char *url = copy_span(text);
  bool is_url =
      !memchr(url, 0, text.len) && !curl_url_set(h->url, CURLUPART_URL, url, CURLU_NON_SUPPORT_SCHEME);
  free(url);
  return is_url && read_url(h, true);
}

// Whether it can stand in a request's first line.
static bool is_target(struct span s) {
  for (size_t i = 0; i < s.len; i++)
    if ((unsigned char)s.bytes[i] <= ' ' || s.bytes[i] == 0x7f) return false;
  return s.len && *s.bytes == '/';
}

static bool take_origin(struct hop *h, const struct fetch_request *r) {
  h->host = xstrdup(r->origin->host), h->target = copy_span(r->target);
  h->port = r->origin->port, h->is_secure = r->origin->is_secure;
  return is_target(r->target);
}

static void copy_fields(struct hop *h, const struct fetch_request *r) {
  size_t len = 0;
  if (!r->field_count) return;
  for (size_t i = 0; i < r->field_count; i++) len += r->fields[i].name.len + r->fields[i].value.len + 4;
  buf_reserve(&h->fields, len);
  for (size_t i = 0; i < r->field_count; i++) {
    buf_append_span(&h->fields, r->fields[i].name);
    buf_append(&h->fields, ": ", 2);
    buf_append_span(&h->fields, r->fields[i].value);
    buf_append(&h->fields, "\r\n", 2);
  }
}

enum fetch_error hop_init(struct hop *h, const struct fetch_request *r) {
  *h = (struct hop){.method = copy_span(r->method), .body_kind = r->body_kind, .body_length = r->body_length};
  h->user = copy_span(r->user), h->password = copy_span(r->password);
  h->ca = copy_text(r->ca), h->cert = copy_text(r->cert), h->key = copy_text(r->key);
  h->unix_path = copy_text(r->unix_path), h->redirects = r->redirects,
  h->redirects_are_followed = r->redirects > 0;
  h->refuses_private = r->refuses_private, h->is_unverified = r->is_unverified;
  h->wants_certificate = r->wants_certificate;
  h->connect = r->connect, h->idle = r->idle, h->total = r->total;
  buf_append_span(&h->body, r->body);
  copy_fields(h, r);
  bool knows_parts = r->origin && !r->redirects; // a redirect may be to what is said in relation to the url
  return (knows_parts ? take_origin(h, r) : parse_url(h, r->url)) ? FETCH_OK : FETCH_URL;
}

void hop_deinit(struct hop *h) {
  curl_url_cleanup(h->url);
  buf_deinit(&h->fields);
  buf_deinit(&h->body);
  char *const texts[] = {h->method, h->host, h->target, h->user,     h->password,
                         h->ca,     h->cert, h->key,    h->unix_path};
  for (size_t i = 0; i < countof(texts); i++) free(texts[i]);
}

bool fetch_origin_parse(struct fetch_origin *o, struct span url) {
  struct hop h = {0};
  bool ok = parse_url(&h, url) && !h.user;
  *o = (struct fetch_origin){.host = h.host, .path = h.target, .port = h.port, .is_secure = h.is_secure};
  if (ok) o->path[strcspn(o->path, "?")] = 0;
  h.host = h.target = NULL;
  hop_deinit(&h);
  return ok;
}

void fetch_origin_deinit(struct fetch_origin *o) {
  free(o->host);
  free(o->path);
}

char *hop_url(const struct hop *h) {
  char *url = NULL;
  bool is_v6 = strchr(h->host, ':');
  if (!h->url)
    return xasprintf("%s://%s%s%s:%u%s", h->is_secure ? "https" : "http", is_v6 ? "[" : "", h->host,
                     is_v6 ? "]" : "", h->port, h->target);
  if (curl_url_get(h->url, CURLUPART_URL, &url, 0) != CURLUE_OK) return xstrdup("");
  char *copy = xstrdup(url);
  curl_free(url);
  return copy;
}

bool hop_next_field(struct span *rest, struct field *f) {
  if (!rest->len) return false;
  const char *end = memchr(rest->bytes, '\r', rest->len), *colon = memchr(rest->bytes, ':', rest->len);
  f->name = (struct span){rest->bytes, (size_t)(colon - rest->bytes)};
  f->value = (struct span){colon + 2, (size_t)(end - colon - 2)};
  rest->len -= (size_t)(end + 2 - rest->bytes), rest->bytes = end + 2;
  return true;
}

static bool is_any_of(const char *method, const char *const *methods) {
  for (; *methods; methods++)
    if (!strcmp(method, *methods)) return true;
  return false;
}

bool hop_has_body(const struct hop *h) {
  static const char *const with_body[] = {"POST", "PUT", "PATCH", NULL};
  return h->body_kind != FETCH_BODY_NONE || is_any_of(h->method, with_body);
}

bool hop_is_once(const struct hop *h) {
  static const char *const idempotent[] = {"GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE", NULL};
  return !is_any_of(h->method, idempotent); // RFC 9110 9.2.2
}

bool hop_is_redirect(int status, struct span location) {
  return location.bytes &&
         (status == 301 || status == 302 || status == 303 || status == 307 || status == 308);
}

static bool is_named(struct span name, const char *const *names) {
  for (; *names; names++)
    if (span_equal_nocase(name, span_of(*names))) return true;
  return false;
}

// Keeps the fields that are among the names, or those that are not.
static void keep_fields(struct hop *h, const char *const *names, bool those) {
  struct span rest = buf_span(&h->fields);
  struct buf kept = {0};
  struct field f;
  while (hop_next_field(&rest, &f))
    if (is_named(f.name, names) == those)
      buf_append(&kept, f.name.bytes, (size_t)(rest.bytes - f.name.bytes));
  buf_deinit(&h->fields);
  h->fields = kept;
}

static void drop_credentials(struct hop *h) {
  static const char *const harmless[] = {"accept",
                                         "accept-language",
                                         "accept-encoding",
                                         "cache-control",
                                         "content-type",
                                         "content-language",
                                         "content-encoding",
                                         "user-agent",
                                         "range",
                                         "expect",
                                         NULL};
  keep_fields(h, harmless, true);
  free(h->user);
  free(h->password);
  free(h->cert);
  free(h->key);
  free(h->unix_path); // a socket of this machine is no way to another host
  h->user = h->password = h->cert = h->key = h->unix_path = NULL;
}

static void drop_body(struct hop *h) {
  static const char *const of_body[] = {"content-type", "content-language", "content-encoding", NULL};
  keep_fields(h, of_body, false);
  h->body_kind = FETCH_BODY_NONE;
  buf_deinit(&h->body);
}

// RFC 9110 15.4: 303 is to be got; of 301 and 302 every browser makes a GET of a POST.
static void change_method(struct hop *h, int status) {
  bool is_head = !strcmp(h->method, "HEAD"), is_post = !strcmp(h->method, "POST");
  bool becomes_get = status == 303 ? !is_head : status < 303 && is_post;
  if (!becomes_get) return;
  free(h->method);
  h->method = xstrdup("GET");
  drop_body(h);
}

enum fetch_error hop_follow(struct hop *h, int status, struct span location) {
  if (!h->redirects) return FETCH_REDIRECTS;
  h->redirects--;
  change_method(h, status);
  if (h->body_kind == FETCH_BODY_PIECES) return FETCH_REDIRECTS; // what was sent is gone
  char *old_host = xstrdup(h->host), *to = copy_span(location);
  unsigned old_port = h->port;
  bool was_secure = h->is_secure;
  bool is_url = !curl_url_set(h->url, CURLUPART_URL, to, CURLU_NON_SUPPORT_SCHEME) && read_url(h, false);
  bool is_same =
      is_url && !strcasecmp(h->host, old_host) && h->port == old_port && h->is_secure == was_secure;
  if (!is_same) drop_credentials(h);
  free(old_host);
  free(to);
  return is_url ? FETCH_OK : FETCH_REDIRECTS;
}
