// SPDX-License-Identifier: MIT
// A parsed request head. It owns one copy of the head's bytes; every span points into that copy.
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "base/span.h"

enum method {
  METHOD_GET,
  METHOD_HEAD,
  METHOD_POST,
  METHOD_PUT,
  METHOD_PATCH,
  METHOD_DELETE,
  METHOD_OPTIONS,
  METHOD_COUNT,
  METHOD_OTHER = METHOD_COUNT // any other token; which of them are served, routes say
};

enum { METHOD_NAME_MAX = 24 };

enum body_kind { BODY_NONE, BODY_LENGTH, BODY_CHUNKED };

struct field {
  struct span name, value; // of a request: the name in lower case, the value trimmed, its bytes as they came
};

struct request {
  unsigned borrowers; // that keep it beside its owner
  uint32_t field_count;
  uint8_t method, body, minor; // enum method, enum body_kind, of HTTP/1.minor
  bool keep_alive : 1;         // the client's wish by version and Connection (RFC 9112 9.3)
  bool expect_continue : 1;    // of the body, if there is one
  bool is_secure : 1;          // it came by TLS to us
  bool from_proxy : 1;         // whose word about the client is believed
  bool is_http2 : 1;           // `minor` is that of the HTTP/1 that means the same
  uint16_t route;              // that it is for, as its server numbers them; 0: none
  struct span method_name;     // as it came
  uint64_t content_length;     // of BODY_LENGTH
  struct span target;          // as it came
  struct span path;            // of the target, still percent-encoded, begins with '/'; "*" of OPTIONS *
  struct span query;           // behind the '?', still encoded, may be empty
  struct span host;            // the authority of an absolute target, else the Host field; empty in HTTP/1.0
  struct field *fields;        // in the order of arrival
  void *exchange;              // what a protocol with many streams keeps, until its stream has gone
  char bytes[];                // the head; the fields' array lies behind it
};

// "GET" and so on of one that is known, static.
struct span method_name(enum method method);

// The method of a name such as "GET"; METHOD_OTHER where it is none of ours.
enum method method_of(struct span name);

// The value of the first field with this name in lower case; bytes == NULL where there is none.
struct span request_field(const struct request *r, struct span name);

// Keeps a request for one more borrower, who gives it back with request_free.
struct request *request_keep(struct request *r);

// Frees a request once nobody else keeps it; NULL is allowed.
void request_free(struct request *r);
