// SPDX-License-Identifier: MIT
// Each proxy adds the address that it saw to the end of X-Forwarded-For; what stands to the left of the first
// stranger, from the right, is that stranger's invention. One entry that is no address spoils all of it.
#include "http/forwarded.h"
#include "http/authority.h"

// Takes the part behind the last comma off the end of `rest`; `*more` tells whether there was one.
static struct span split_last(struct span *rest, bool *more) {
  size_t at = rest->len;
  while (at && rest->bytes[at - 1] != ',') at--;
  struct span last = {rest->bytes + at, rest->len - at};
  *more = at > 0;
  rest->len = at - *more;
  return span_trim(last);
}

// "192.0.2.1", "192.0.2.1:80", "2001:db8::1", "[2001:db8::1]", "[2001:db8::1]:80"
static bool parse_entry(struct span s, struct address *a) {
  struct span rest = s;
  if (span_starts_with(s, SPAN("["))) {
    struct span literal = span_split(&rest, ']');
    bool is_closed = literal.len < s.len && (!rest.len || rest.bytes[0] == ':');
    return is_closed && address_parse(span_behind(literal, 1), a);
  }
  struct span host = span_split(&rest, ':');
  bool has_port = !memchr(rest.bytes, ':', rest.len); // or nothing more, where the host is all
  return address_parse(has_port ? host : s, a);
}

// From the last entry to the first that is not trusted, or to the first of all.
static bool find_client(const struct request *r, const struct trusted *t, struct address *client) {
  bool found = false;
  for (size_t i = r->field_count; i-- > 0;) {
    if (!span_equal(r->fields[i].name, SPAN("x-forwarded-for"))) continue;
    struct span rest = r->fields[i].value;
    for (bool more = true; more; found = true) {
      if (!parse_entry(split_last(&rest, &more), client)) return false;
      if (!trusted_has(t, client)) return true;
    }
  }
  return found;
}

size_t forwarded_address(const struct request *r, const struct trusted *t, char out[ADDRESS_TEXT_MAX]) {
  struct address client;
  if (!r->from_proxy || !find_client(r, t, &client)) return 0;
  return address_text(&client, out);
}

// What the nearest proxy wrote: the last value of the last field of this name.
static struct span last_value(const struct request *r, struct span name) {
  bool more;
  for (size_t i = r->from_proxy ? r->field_count : 0; i-- > 0;) {
    struct span value = r->fields[i].value;
    if (span_equal(r->fields[i].name, name)) return split_last(&value, &more);
  }
  return (struct span){0};
}

struct span forwarded_scheme(const struct request *r) {
  struct span scheme = last_value(r, SPAN("x-forwarded-proto"));
  if (span_equal_nocase(scheme, SPAN("https"))) return SPAN("https");
  if (span_equal_nocase(scheme, SPAN("http"))) return SPAN("http");
  return r->is_secure ? SPAN("https") : SPAN("http");
}

struct span forwarded_host(const struct request *r) {
  struct span host = last_value(r, SPAN("x-forwarded-host"));
  return host.len && is_authority(host) ? host : r->host;
}
