// SPDX-License-Identifier: MIT
// A tree with a level for each segment of a path. Patterns of one shape end at one node, whatever their
// parameters are called; a route keeps its own names. A match goes down the tree with backtracking and sees
// each node at most once, so its cost is bounded by the number of routes and not by the path. It allocates
// nothing. The tree only grows; matching from several threads at once is safe when no one adds.
#include "http/router.h"
#include <assert.h>
#include <stdlib.h>
#include "base/mem.h"
#include "base/util.h"
#include "http/route_path.h"
#include "http/route_pattern.h"

struct route {
  int number;
  size_t param_count;
  char *pattern; // owns the bytes of the names
  struct span names[];
};

struct literal_edge {
  struct span text; // owned
  struct node *node;
};

struct set_edge {
  struct byte_set set;
  struct node *node;
};

struct node {
  struct literal_edge *literals; // sorted by their bytes
  struct set_edge *sets;         // in the order of adding
  size_t literal_count, set_count;
  struct node *any, *rest; // below :name and *rest
  unsigned methods;        // a bit for each method that has a route here
  struct route **routes;   // theirs, in the order of the bits
};

struct router {
  struct node root;
  int method_count;                                     // those of enum method among them
  struct span names[ROUTER_METHODS_MAX - METHOD_COUNT]; // of the others, owned
};

struct router *router_new(void) {
  struct router *r = xcalloc(1, sizeof *r);
  r->method_count = METHOD_COUNT;
  return r;
}

static void route_free(struct route *route) {
  if (route) free(route->pattern);
  free(route);
}

static void node_deinit(struct node *n);

static void node_free(struct node *n) {
  if (n) node_deinit(n);
  free(n);
}

static void node_deinit(struct node *n) {
  for (size_t i = 0; i < n->literal_count; i++) {
    node_free(n->literals[i].node);
    free((char *)n->literals[i].text.bytes);
  }
  for (size_t i = 0; i < n->set_count; i++) node_free(n->sets[i].node);
  for (int i = 0; i < __builtin_popcount(n->methods); i++) route_free(n->routes[i]);
  free(n->routes);
  node_free(n->any);
  node_free(n->rest);
  free(n->literals);
  free(n->sets);
}

void router_free(struct router *r) {
  if (r) node_deinit(&r->root);
  for (int i = METHOD_COUNT; r && i < r->method_count; i++) free((char *)r->names[i - METHOD_COUNT].bytes);
  free(r);
}

struct span router_method_name(const struct router *r, int method) {
  if (method < METHOD_COUNT) return method_name((enum method)method);
  return method < r->method_count ? r->names[method - METHOD_COUNT] : (struct span){0};
}

int router_method(const struct router *r, struct span name) {
  for (int i = 0; i < r->method_count; i++)
    if (span_equal(router_method_name(r, i), name)) return i;
  return -1;
}

int router_method_make(struct router *r, struct span name) {
  int known = router_method(r, name);
  if (known >= 0 || r->method_count == ROUTER_METHODS_MAX) return known;
  r->names[r->method_count - METHOD_COUNT] = (struct span){xmemdup(name.bytes, name.len), name.len};
  return r->method_count++;
}

// Where the route of a method is in the node, or belongs.
static struct route **route_place(const struct node *n, int method) {
  return n->routes + __builtin_popcount(n->methods & ((1u << method) - 1));
}

static struct route *route_at(const struct node *n, int method) {
  return n->methods & 1u << method ? *route_place(n, method) : NULL;
}

static void route_put(struct node *n, int method, struct route *route) {
  size_t count = (size_t)__builtin_popcount(n->methods);
  n->routes = xrealloc(n->routes, (count + 1) * sizeof *n->routes);
  struct route **place = route_place(n, method);
  memmove(place + 1, place, (count - (size_t)(place - n->routes)) * sizeof *place);
  *place = route;
  n->methods |= 1u << method;
}

static bool is_before(struct span a, struct span b) {
  int order = memcmp(a.bytes, b.bytes, MIN(a.len, b.len));
  return order < 0 || (order == 0 && a.len < b.len);
}

// The index of the edge with this text, or where it belongs.
static size_t literal_index(const struct node *n, struct span text) {
  size_t low = 0, high = n->literal_count;
  while (low < high) {
    size_t middle = (low + high) / 2;
    if (is_before(n->literals[middle].text, text)) low = middle + 1;
    else high = middle;
  }
  return low;
}

static struct node *literal_find(const struct node *n, struct span text) {
  size_t i = literal_index(n, text);
  return i < n->literal_count && span_equal(n->literals[i].text, text) ? n->literals[i].node : NULL;
}

static struct node *node_new(void) { return xcalloc(1, sizeof(struct node)); }

static struct node *literal_make(struct node *n, struct span text) {
  struct node *known = literal_find(n, text);
  if (known) return known;
  size_t i = literal_index(n, text);
  n->literals = xrealloc(n->literals, (n->literal_count + 1) * sizeof *n->literals);
  memmove(n->literals + i + 1, n->literals + i, (n->literal_count - i) * sizeof *n->literals);
  n->literals[i] = (struct literal_edge){{xmemdup(text.bytes, text.len), text.len}, node_new()};
  n->literal_count++;
  return n->literals[i].node;
}

static struct node *set_make(struct node *n, const struct byte_set *set) {
  for (size_t i = 0; i < n->set_count; i++)
    if (!memcmp(&n->sets[i].set, set, sizeof *set)) return n->sets[i].node;
  n->sets = xrealloc(n->sets, (n->set_count + 1) * sizeof *n->sets);
  n->sets[n->set_count] = (struct set_edge){*set, node_new()};
  return n->sets[n->set_count++].node;
}

static struct node *child_make(struct node **child) {
  if (!*child) *child = node_new();
  return *child;
}

// The node below `n` for one segment of a pattern, made where there is none yet.
static struct node *segment_make(struct node *n, const struct pattern_segment *segment) {
  switch (segment->kind) {
  case SEGMENT_LITERAL: return literal_make(n, segment->text);
  case SEGMENT_SET: return set_make(n, &segment->set);
  case SEGMENT_ANY: return child_make(&n->any);
  default: return child_make(&n->rest);
  }
}

static struct route *route_new(const struct route_pattern *p, int number) {
  struct route *route = xmalloc(sizeof *route + p->param_count * sizeof *route->names);
  *route = (struct route){.number = number, .pattern = xmemdup(p->text.bytes, p->text.len)};
  for (size_t i = 0; i < p->count; i++) {
    if (p->segments[i].kind == SEGMENT_LITERAL) continue;
    struct span name = p->segments[i].text;
    route->names[route->param_count++] =
        (struct span){route->pattern + (name.bytes - p->text.bytes), name.len};
  }
  return route;
}

// The node where the pattern ends.
static struct node *node_make(struct router *r, const struct route_pattern *p) {
  struct node *n = &r->root;
  for (size_t i = 0; i < p->count; i++) n = segment_make(n, &p->segments[i]);
  return n;
}

int router_add(struct router *r, int method, struct span pattern, int route, int *other,
               char error[ROUTER_ERROR_MAX]) {
  struct route_pattern p;
  if (route_pattern_read(&p, pattern, error) < 0) return -1;
  struct node *n = node_make(r, &p);
  const struct route *known = route_at(n, method);
  *other = known ? known->number : -1;
  if (!known) route_put(n, method, route_new(&p, route));
  return 0;
}

void router_replace(struct router *r, int method, struct span pattern) {
  struct route_pattern p;
  char error[ROUTER_ERROR_MAX];
  int is_none = route_pattern_read(&p, pattern, error);
  assert(!is_none);
  struct node *n = node_make(r, &p);
  struct route *known = route_at(n, method);
  assert(known);
  *route_place(n, method) = route_new(&p, known->number);
  route_free(known);
}

struct walk {
  const struct route_path *path;
  int method; // -1: one that no route has
  struct route_match *match;
};

// What the node has for the method. Where it has nothing it leaves its methods in the match, and the walk
// goes on: a less particular pattern may have the method.
static const struct route *node_route(const struct node *n, struct walk *w) {
  const struct route *route = w->method < 0 ? NULL : route_at(n, w->method);
  if (!route && w->method == METHOD_HEAD) route = route_at(n, METHOD_GET);
  if (!route) w->match->allowed |= n->methods | (n->methods & 1u << METHOD_GET ? 1u << METHOD_HEAD : 0);
  return route;
}

static bool set_has_all(const struct byte_set *set, struct span text) {
  for (size_t i = 0; i < text.len; i++)
    if (!byte_set_has(set, text.bytes[i])) return false;
  return true;
}

// The rest of the path from a segment on, decoded.
static struct span rest_from(const struct route_path *path, struct span segment) {
  return (struct span){segment.bytes, path->text.len - (size_t)(segment.bytes - path->text.bytes)};
}

// The route for the segments from `depth` on; `params` values are taken so far.
static const struct route *walk_node(struct walk *w, const struct node *n, size_t depth, size_t params) {
  if (depth == w->path->count) return node_route(n, w);
  if (depth == ROUTE_SEGMENTS_MAX) return NULL; // no pattern is longer
  struct span segment = w->path->segments[depth], *value = &w->match->values[params];
  const struct route *found = NULL;
  const struct node *literal = literal_find(n, segment);
  if (literal) found = walk_node(w, literal, depth + 1, params);
  for (size_t i = 0; i < n->set_count && segment.len && !found; i++)
    if (set_has_all(&n->sets[i].set, segment)) {
      *value = segment;
      found = walk_node(w, n->sets[i].node, depth + 1, params + 1);
    }
  if (!found && n->any && segment.len) {
    *value = segment;
    found = walk_node(w, n->any, depth + 1, params + 1);
  }
  if (!found && n->rest && rest_from(w->path, segment).len) {
    *value = rest_from(w->path, segment);
    found = node_route(n->rest, w);
  }
  return found;
}

enum route_status router_match(const struct router *r, int method, struct span path, char *scratch,
                               struct route_match *match) {
  struct route_path read;
  if (!span_starts_with(path, SPAN("/"))) return ROUTE_NO_PATH; // "*" of OPTIONS, and what a script has made
  if (route_path_read(&read, path, scratch) < 0) return ROUTE_BAD_PATH;
  struct walk walk = {.path = &read, .method = method, .match = match};
  const struct route *route = walk_node(&walk, &r->root, 0, 0);
  if (!route) return match->allowed ? ROUTE_NO_METHOD : ROUTE_NO_PATH;
  match->route = route->number, match->param_count = route->param_count;
  memcpy(match->names, route->names, route->param_count * sizeof *route->names);
  return ROUTE_FOUND;
}
