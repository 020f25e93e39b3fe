// SPDX-License-Identifier: MIT
// Matches a method and a path against routes. A route is a number to it: it knows nothing of handlers.
#pragma once
#include <stddef.h>
#include <stdint.h>
#include "base/span.h"
#include "http/request.h"

enum { ROUTE_PARAMS_MAX = 16, ROUTER_ERROR_MAX = 256, ROUTER_METHODS_MAX = 32 };

struct router;

struct route_match {
  int route;        // the number given to router_add
  unsigned allowed; // where there is none: a bit (1u << method) for each method that the path has
  size_t param_count;
  struct span names[ROUTE_PARAMS_MAX];  // point into the router
  struct span values[ROUTE_PARAMS_MAX]; // decoded, point into the caller's scratch
};

enum route_status { ROUTE_FOUND, ROUTE_NO_PATH, ROUTE_NO_METHOD, ROUTE_BAD_PATH };

// An empty router; free with router_free.
struct router *router_new(void);
void router_free(struct router *r);

// The number of a method: that of enum method, or one of this router's own behind them. -1 where it has no
// such method; router_method_make makes it one, unless there are ROUTER_METHODS_MAX.
int router_method(const struct router *r, struct span name);
int router_method_make(struct router *r, struct span name);

// The name of a method by its number; bytes == NULL behind the last. Borrowed.
struct span router_method_name(const struct router *r, int method);

// Adds "/rooms/:room", "/u/:id[%d]" (one or more characters of the Lua set) or "/files/*path" (the rest, at
// least one byte). Returns 0, or -1 with a reason for a bad pattern in `error`. Where the same method has a
// route of the same shape already, that one stays, and its number goes to *other, else -1.
int router_add(struct router *r, int method, struct span pattern, int route, int *other,
               char error[ROUTER_ERROR_MAX]);

// Puts a route in the place of the one that there is with the same method and shape, with its number.
void router_replace(struct router *r, int method, struct span pattern);

// Matches a raw path, of which there is none that does not begin with '/': literal before :name[set] before
// :name before *rest, with backtracking. HEAD falls back to GET. Segments are split at '/', then decoded into
// `scratch` (path.len bytes). ROUTE_BAD_PATH: a bad escape, a control character or invalid UTF-8 once
// decoded, a "." or ".." segment. `match` is all zeros.
enum route_status router_match(const struct router *r, int method, struct span path, char *scratch,
                               struct route_match *match);
