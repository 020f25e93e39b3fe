// SPDX-License-Identifier: MIT
// The registry's lock is held to look a dictionary up and to make room; a dictionary's for one step. Bytes
// are reserved before anything is allocated, so the limit holds whatever the threads do. A value whose time
// is over is gone for every reader at once; its memory goes a few values at a time with later steps, and as
// far as needed when there is no room.
#include "event/shared.h"
#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include "base/lock.h"
#include "base/mem.h"
#include "loop/timer.h"

enum {
  PURGE_STEP = 8,            // expired values that one step takes out at most
  PURGE_BATCH = 1000,        // the same in a row under one lock
  ENTRY_OVERHEAD = 48,       // of allocator, buckets and heap
  DICTIONARY_OVERHEAD = 2048 // the same, of an empty dictionary
};

struct entry {
  struct map_node node;
  struct timer expiry; // armed where the value has an end
  struct shared_value value;
  char key[]; // the bytes of a string value are an allocation of their own
};

struct shared {
  struct map_node node;
  struct shared_registry *registry;
  unsigned refs; // behind the registry's lock
  pthread_mutex_t lock;
  struct map entries;
  struct timer_heap expiries;
  size_t bytes;
  bool is_kept; // beyond the process
  struct shared_changes changes;
  char name[];
};

enum verb { VERB_SET, VERB_ADD, VERB_CAS, VERB_INCR };

struct update {
  enum verb verb;
  struct span key;
  struct shared_value value, other; // what to set or add; what is to be there, or to begin with
  double ttl, now;
  size_t need; // the room that was missing
};

static struct shared *shared_of(struct map_node *node) { return container_of(node, struct shared, node); }
static struct entry *entry_of(struct map_node *node) { return container_of(node, struct entry, node); }

static size_t entry_cost(size_t key_len) { return sizeof(struct entry) + key_len + ENTRY_OVERHEAD; }

static size_t dictionary_cost(size_t name_len) {
  return sizeof(struct shared) + name_len + DICTIONARY_OVERHEAD;
}

static bool has_room(struct shared_registry *r, size_t len) {
  return atomic_load(&r->bytes) + len <= r->limit;
}

static bool reserve(struct shared_registry *r, size_t len) {
  size_t used = atomic_load(&r->bytes);
  do {
    if (used + len > r->limit) return false;
  } while (!atomic_compare_exchange_weak(&r->bytes, &used, used + len));
  return true;
}

// With the dictionary's lock held, as all down to make_room.
static void release(struct shared *d, size_t len) {
  d->bytes -= len;
  atomic_fetch_sub(&d->registry->bytes, len);
}

static bool is_expired(const struct entry *e, double now) {
  return timer_is_armed(&e->expiry) && e->expiry.deadline <= now;
}

static void free_text(struct shared_value *v) {
  if (v->type == SHARED_STRING) free((char *)v->string.bytes);
}

// A key that is taken out leaves one behind, whether there is room or not: what comes next finds none.
static void mark(struct shared *d, struct span key) {
  struct shared_registry *r = d->registry;
  if (!d->is_kept || !shared_changes_add(&d->changes, key)) return;
  d->bytes += shared_changes_cost(key.len);
  atomic_fetch_add(&r->bytes, shared_changes_cost(key.len));
  if (!atomic_fetch_add(&r->changed, 1) && r->keeper) r->keeper->on_change(r->keeper);
}

static void unmark(struct shared *d, struct map_node *node) {
  release(d, shared_changes_cost(node->name.len));
  atomic_fetch_sub(&d->registry->changed, 1);
  shared_changes_drop(&d->changes, node);
}

static void entry_take_out(struct shared *d, struct entry *e) {
  mark(d, e->node.name);
  map_remove(&d->entries, &e->node);
  timer_disarm(&d->expiries, &e->expiry);
  release(d, entry_cost(e->node.name.len) + shared_value_len(&e->value));
  free_text(&e->value);
  free(e);
}

static size_t purge(struct shared *d, double now, size_t max) {
  size_t n = 0;
  for (; n < max && timer_next(&d->expiries) <= now; n++)
    entry_take_out(d, container_of(timer_first(&d->expiries), struct entry, expiry));
  return n;
}

// One step begins: takes the lock.
static void dictionary_enter(struct shared *d, double now) {
  lock_take(&d->lock);
  purge(d, now, PURGE_STEP);
}

static void dictionary_leave(struct shared *d) { lock_release(&d->lock); }

static struct entry *entry_find(struct shared *d, struct span key, double now) {
  struct map_node *node = map_find(&d->entries, key);
  if (!node || !is_expired(entry_of(node), now)) return node ? entry_of(node) : NULL;
  entry_take_out(d, entry_of(node));
  return NULL;
}

static struct entry *new_entry(struct shared *d, struct span key) {
  struct entry *e = xcalloc(1, sizeof *e + key.len);
  if (key.len) memcpy(e->key, key.bytes, key.len);
  e->node.name = (struct span){e->key, key.len};
  map_insert(&d->entries, &e->node);
  return e;
}

static void set_value(struct entry *e, const struct shared_value *v) {
  struct shared_value old = e->value;
  e->value = *v;
  if (v->type == SHARED_STRING) e->value.string.bytes = xmemdup(v->string.bytes, v->string.len);
  free_text(&old);
}

static void set_ttl(struct shared *d, struct entry *e, double ttl, double now) {
  if (isinf(ttl)) timer_disarm(&d->expiries, &e->expiry);
  else if (ttl > 0) timer_arm(&d->expiries, &e->expiry, now + ttl);
}

static enum shared_result store(struct shared *d, struct entry *e, struct update *u,
                                const struct shared_value *v, double ttl) {
  if (v->type == SHARED_NIL) {
    if (e) entry_take_out(d, e);
    return SHARED_OK;
  }
  size_t before = e ? shared_value_len(&e->value) : 0,
         after = shared_value_len(v) + (e ? 0 : entry_cost(u->key.len));
  if (after > before) {
    u->need = after - before;
    if (!reserve(d->registry, u->need)) return SHARED_FULL;
    d->bytes += u->need;
  } else release(d, before - after);
  if (!e) e = new_entry(d, u->key);
  set_value(e, v);
  set_ttl(d, e, ttl, u->now);
  mark(d, u->key);
  return SHARED_OK;
}

static enum shared_result increment(struct shared *d, struct entry *e, struct update *u) {
  struct shared_value sum = e ? e->value : u->other;
  if (!shared_value_is_number(&sum)) {
    u->other.type = sum.type;
    return SHARED_NOT_NUMBER;
  }
  if (!shared_value_add(&sum, &u->value)) return SHARED_NAN;
  enum shared_result result = store(d, e, u, &sum, e ? 0 : u->ttl);
  if (result == SHARED_OK) u->other = sum;
  return result;
}

static enum shared_result update_once(struct shared *d, struct update *u) {
  static const struct shared_value nil;
  struct entry *e = entry_find(d, u->key, u->now);
  switch (u->verb) {
  case VERB_INCR: return increment(d, e, u);
  case VERB_ADD:
    if (e) return SHARED_REFUSED;
    break;
  case VERB_CAS:
    if (!shared_value_equal(e ? &e->value : &nil, &u->other)) return SHARED_REFUSED;
    break;
  case VERB_SET: break;
  }
  return store(d, e, u, &u->value, u->ttl);
}

// With the registry's lock held, for an empty dictionary without references.
static void free_dictionary(struct shared *d) {
  map_remove(&d->registry->dictionaries, &d->node);
  atomic_fetch_sub(&d->registry->bytes, dictionary_cost(d->node.name.len));
  map_deinit(&d->entries);
  shared_changes_deinit(&d->changes);
  timer_heap_deinit(&d->expiries);
  lock_deinit(&d->lock);
  free(d);
}

struct room {
  size_t len;
  double now;
};

static void make_room_in(struct map_node *node, void *arg) {
  struct shared *d = shared_of(node);
  const struct room *room = arg;
  size_t purged = PURGE_BATCH;
  bool is_empty = false;
  while (purged == PURGE_BATCH && !has_room(d->registry, room->len)) {
    lock_take(&d->lock);
    purged = purge(d, room->now, PURGE_BATCH);
    is_empty = !d->entries.count;
    lock_release(&d->lock);
  }
  if (!d->refs && is_empty && !d->changes.keys.count) free_dictionary(d);
}

// Takes out expired values until `len` bytes are free. With the registry's lock held.
static bool shared_make_room(struct shared_registry *r, size_t len, double now) {
  if (!has_room(r, len)) map_each(&r->dictionaries, make_room_in, &(struct room){len, now});
  return has_room(r, len);
}

static enum shared_result update(struct shared *d, struct update *u) {
  for (bool again = false;; again = true) {
    dictionary_enter(d, u->now);
    enum shared_result result = update_once(d, u);
    dictionary_leave(d);
    if (result != SHARED_FULL || again) return result;
    lock_take(&d->registry->lock);
    bool has = shared_make_room(d->registry, u->need, u->now);
    lock_release(&d->registry->lock);
    if (!has) return result;
  }
}

enum shared_result shared_set(struct shared *d, struct span key, const struct shared_value *v, double ttl,
                              double now) {
  return update(d, &(struct update){.verb = VERB_SET, .key = key, .value = *v, .ttl = ttl, .now = now});
}

enum shared_result shared_add(struct shared *d, struct span key, const struct shared_value *v, double ttl,
                              double now) {
  return update(d, &(struct update){.verb = VERB_ADD, .key = key, .value = *v, .ttl = ttl, .now = now});
}

enum shared_result shared_cas(struct shared *d, struct span key, const struct shared_value *old,
                              const struct shared_value *v, double ttl, double now) {
  struct update u = {.verb = VERB_CAS, .key = key, .value = *v, .other = *old, .ttl = ttl, .now = now};
  return update(d, &u);
}

enum shared_result shared_incr(struct shared *d, struct span key, struct shared_value *v,
                               const struct shared_value *init, double ttl, double now) {
  struct update u = {.verb = VERB_INCR, .key = key, .value = *v, .other = *init, .ttl = ttl, .now = now};
  enum shared_result result = update(d, &u);
  *v = u.other;
  return result;
}

void shared_get(struct shared *d, struct span key, double now, struct shared_value *v, struct buf *into) {
  size_t at = into->len;
  dictionary_enter(d, now);
  struct entry *e = entry_find(d, key, now);
  *v = e ? e->value : (struct shared_value){.type = SHARED_NIL};
  if (v->type == SHARED_STRING) buf_append_span(into, v->string);
  dictionary_leave(d);
  if (v->type == SHARED_STRING) v->string.bytes = v->string.len ? into->bytes + at : "";
}

bool shared_delete(struct shared *d, struct span key, double now) {
  dictionary_enter(d, now);
  struct entry *e = entry_find(d, key, now);
  if (e) entry_take_out(d, e);
  dictionary_leave(d);
  return e != NULL;
}

struct listing {
  struct span prefix;
  double now;
  struct buf *into;
  size_t count;
};

static void list_key(struct map_node *node, void *arg) {
  struct listing *l = arg;
  struct span head = {node->name.bytes, MIN(node->name.len, l->prefix.len)};
  if (!span_equal(head, l->prefix) || is_expired(entry_of(node), l->now)) return;
  buf_append_byte(l->into, (char)(unsigned char)node->name.len);
  buf_append_span(l->into, node->name);
  l->count++;
}

size_t shared_keys(struct shared *d, struct span prefix, double now, struct buf *into) {
  struct listing l = {.prefix = prefix, .now = now, .into = into};
  dictionary_enter(d, now);
  map_each(&d->entries, list_key, &l);
  dictionary_leave(d);
  return l.count;
}

// Takes the lock once no expired value is left.
static void enter_purged(struct shared *d, double now) {
  lock_take(&d->lock);
  while (purge(d, now, PURGE_BATCH) == PURGE_BATCH) {
    lock_release(&d->lock); // a chance for others
    lock_take(&d->lock);
  }
}

size_t shared_count(struct shared *d, double now) {
  enter_purged(d, now);
  size_t count = d->entries.count;
  dictionary_leave(d);
  return count;
}

size_t shared_bytes(struct shared *d, double now) {
  enter_purged(d, now);
  size_t bytes = d->bytes;
  dictionary_leave(d);
  return bytes;
}

struct span shared_name(const struct shared *d) {
  return d->node.name;
}

static struct shared *new_dictionary(struct shared_registry *r, struct span name) {
  struct shared *d = xcalloc(1, sizeof *d + name.len);
  d->registry = r;
  lock_init(&d->lock);
  map_init(&d->entries, r->seed);
  shared_changes_init(&d->changes, r->seed);
  memcpy(d->name, name.bytes, name.len);
  d->node.name = (struct span){d->name, name.len};
  map_insert(&r->dictionaries, &d->node);
  return d;
}

struct shared *shared_open(struct shared_registry *r, struct span name, double now) {
  size_t cost = dictionary_cost(name.len);
  lock_take(&r->lock);
  struct map_node *node = map_find(&r->dictionaries, name);
  struct shared *d = node ? shared_of(node) : NULL;
  if (!d && shared_make_room(r, cost, now) && reserve(r, cost)) d = new_dictionary(r, name);
  if (d) d->refs++;
  lock_release(&r->lock);
  return d;
}

void shared_unref(struct shared *d, double now) {
  struct shared_registry *r = d->registry;
  lock_take(&r->lock);
  if (!--d->refs && !shared_count(d, now) && !d->changes.keys.count) free_dictionary(d);
  lock_release(&r->lock);
}

void shared_registry_init(struct shared_registry *r, size_t limit) {
  *r = (struct shared_registry){.limit = limit};
  lock_init(&r->lock);
  r->seed = map_seed(r);
  map_init(&r->dictionaries, r->seed);
}

static void mark_entry(struct map_node *node, void *d) { mark(d, node->name); }

void shared_keep(struct shared *d) {
  if (!d->registry->keeper) return;
  lock_take(&d->lock);
  bool was_kept = d->is_kept;
  d->is_kept = true;
  if (!was_kept) map_each(&d->entries, mark_entry, d);
  lock_release(&d->lock);
}

static void keep_again(struct map_node *node, void *arg) {
  struct shared *d = shared_of(node);
  (void)arg;
  lock_take(&d->lock);
  map_each(&d->entries, mark_entry, d);
  lock_release(&d->lock);
}

void shared_keep_again(struct shared_registry *r) {
  lock_take(&r->lock);
  map_each(&r->dictionaries, keep_again, NULL);
  lock_release(&r->lock);
}

struct taking {
  double now;
  size_t left;
  struct list *into;
  struct shared *dictionary;
};

static void take_change(struct map_node *node, void *arg) {
  struct taking *t = arg;
  if (!t->left) return;
  struct map_node *there = map_find(&t->dictionary->entries, node->name);
  const struct entry *e = there && !is_expired(entry_of(there), t->now) ? entry_of(there) : NULL;
  double deadline = e && timer_is_armed(&e->expiry) ? e->expiry.deadline : INFINITY;
  list_append(t->into,
              &shared_change_new(t->dictionary->node.name, node->name, e ? &e->value : NULL, deadline)->link);
  unmark(t->dictionary, node);
  t->left--;
}

static void take_changes(struct map_node *node, void *arg) {
  struct taking *t = arg;
  t->dictionary = shared_of(node);
  lock_take(&t->dictionary->lock);
  if (t->dictionary->changes.keys.count) map_each(&t->dictionary->changes.keys, take_change, t);
  bool is_over = !t->dictionary->entries.count && !t->dictionary->changes.keys.count && !t->dictionary->refs;
  lock_release(&t->dictionary->lock);
  if (is_over) free_dictionary(t->dictionary);
}

size_t shared_take_changes(struct shared_registry *r, double now, size_t max, struct list *into) {
  struct taking t = {.now = now, .left = max, .into = into};
  if (!atomic_load(&r->changed)) return 0;
  lock_take(&r->lock);
  map_each(&r->dictionaries, take_changes, &t);
  lock_release(&r->lock);
  return max - t.left;
}

void shared_put_back(struct shared_registry *r, const struct shared_change *c, double now) {
  struct shared *d = shared_open(r, c->dictionary, now);
  if (!d) return;
  lock_take(&d->lock);
  d->is_kept = true;
  mark(d, c->key);
  lock_release(&d->lock);
  shared_unref(d, now);
}

bool shared_restore(struct shared_registry *r, struct span name, struct span key,
                    const struct shared_value *v, double ttl, double now) {
  struct shared *d = shared_open(r, name, now);
  if (!d) return false;
  lock_take(&d->lock);
  d->is_kept = true;
  bool is_over = ttl <= 0;
  if (is_over) mark(d, key); // the keeper is to forget it
  lock_release(&d->lock);
  bool is_full = !is_over && shared_add(d, key, v, ttl, now) == SHARED_FULL;
  lock_take(&d->lock);
  struct map_node *node = map_find(&d->changes.keys, key);
  if (node && !is_over && !r->keeper) unmark(d, node);
  lock_release(&d->lock);
  shared_unref(d, now);
  return !is_full;
}

static void drop_mark(struct map_node *node, void *d) { unmark(d, node); }

static void drop_entry(struct map_node *node, void *d) { entry_take_out(d, entry_of(node)); }

static void drop_dictionary(struct map_node *node, void *arg) {
  struct shared *d = shared_of(node);
  (void)arg;
  d->is_kept = false;
  map_each(&d->entries, drop_entry, d);
  map_each(&d->changes.keys, drop_mark, d);
  free_dictionary(d);
}

void shared_registry_deinit(struct shared_registry *r) {
  map_each(&r->dictionaries, drop_dictionary, NULL);
  assert(!atomic_load(&r->bytes)); // all that was reserved has been given back
  map_deinit(&r->dictionaries);
  lock_deinit(&r->lock);
}

size_t shared_registry_bytes(struct shared_registry *r) { return atomic_load(&r->bytes); }
