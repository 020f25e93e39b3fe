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

// Notes host and port; a user and password in it become those of the request where it has none.
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
  char *const parts[] = {scheme, host, port, user, password};
  for (size_t i = 0; i < countof(parts); i++) curl_free(parts[i]);
  return ok;
}

static struct curl_slist *add_line(struct curl_slist *list, const char *line) {
  struct curl_slist *longer = curl_slist_append(list, line);
  if (!longer) abort();
  return longer;
}

static struct curl_slist *add_field(struct curl_slist *list, const struct field *f) {
  char *line = f->value.len
                   ? xasprintf(SPAN_FMT ": " SPAN_FMT, SPAN_ARG(f->name), SPAN_ARG(f->value))
                   : xasprintf(SPAN_FMT ";", SPAN_ARG(f->name)); // libcurl's way to say an empty value
  list = add_line(list, line);
  free(line);
  return list;
}

enum fetch_error hop_init(struct hop *h, const struct fetch_request *r) {
  *h = (struct hop){.method = copy_span(r->method), .body_kind = r->body_kind, .body_length = r->body_length};
  h->user = copy_span(r->user), h->password = copy_span(r->password);
  h->ca = copy_text(r->ca), h->cert = copy_text(r->cert), h->key = copy_text(r->key);
  h->unix_path = copy_text(r->unix_path), h->redirects = r->redirects,
  h->redirects_are_followed = r->redirects > 0;
  h->refuses_private = r->refuses_private, h->is_unverified = r->is_unverified;
  h->connect = r->connect, h->idle = r->idle, h->total = r->total;
  buf_append_span(&h->body, r->body);
  bool expects = false;
  for (size_t i = 0; i < r->field_count; i++) {
    h->fields = add_field(h->fields, &r->fields[i]);
    expects |= span_equal_nocase(r->fields[i].name, SPAN("expect"));
  }
  // Else libcurl asks before a large body, and waits a second for servers that do not know of that.
  if (!expects) h->fields = add_line(h->fields, "Expect:");
  h->url = curl_url();
  if (!h->url) abort();
  char *url = copy_span(r->url);
  bool is_url =
      !memchr(url, 0, r->url.len) && !curl_url_set(h->url, CURLUPART_URL, url, CURLU_NON_SUPPORT_SCHEME);
  free(url);
  return is_url && read_url(h, true) ? FETCH_OK : FETCH_URL;
}

void hop_deinit(struct hop *h) {
  curl_url_cleanup(h->url);
  curl_slist_free_all(h->fields);
  buf_deinit(&h->body);
  char *const texts[] = {h->method, h->host, h->user, h->password, h->ca, h->cert, h->key, h->unix_path};
  for (size_t i = 0; i < countof(texts); i++) free(texts[i]);
}

bool hop_is_redirect(int status, struct span location) {
  return location.bytes &&
         (status == 301 || status == 302 || status == 303 || status == 307 || status == 308);
}

static bool is_named(const char *line, const char *const *names) {
  size_t len = strcspn(line, ":;");
  for (; *names; names++)
    if (span_equal_nocase((struct span){line, len}, span_of(*names))) return true;
  return false;
}

// Keeps the fields that are among the names, or those that are not.
static void keep_fields(struct hop *h, const char *const *names, bool those) {
  struct curl_slist *kept = NULL;
  for (struct curl_slist *at = h->fields; at; at = at->next)
    if (is_named(at->data, names) == those) kept = add_line(kept, at->data);
  curl_slist_free_all(h->fields);
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
