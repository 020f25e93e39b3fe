// SPDX-License-Identifier: MIT
// Dictionaries that all workers share: named, flat, of strings, numbers and booleans. They have one limit in
// bytes together. Any thread; every call is one atomic step under the dictionary's own lock.
#pragma once
#include <pthread.h>
#include <stdatomic.h>
#include "base/buf.h"
#include "base/map.h"
#include "event/shared_changes.h"
#include "event/shared_value.h"

enum { SHARED_NAME_MAX = 255, SHARED_KEY_MAX = 255 };

// What became of a change. SHARED_REFUSED: its condition did not hold. Only SHARED_OK has changed anything.
enum shared_result { SHARED_OK, SHARED_REFUSED, SHARED_FULL, SHARED_NOT_NUMBER, SHARED_NAN };

struct shared; // one dictionary

// Who keeps dictionaries beyond the process, told that there is something to take.
struct shared_keeper {
  void (*on_change)(struct shared_keeper *k); // any thread, also with a dictionary's lock held
};

struct shared_registry {
  pthread_mutex_t lock; // before a dictionary's
  struct map dictionaries;
  size_t limit;
  atomic_size_t bytes; // of all dictionaries, expired values that nobody has met yet included
  uint64_t seed;
  struct shared_keeper *keeper; // NULL: none
  atomic_size_t changed;        // keys of dictionaries to be kept that were not taken since they changed
};

// No dictionaries, and room for `limit` bytes of them.
void shared_registry_init(struct shared_registry *r, size_t limit);

// Frees the dictionaries; nobody uses them any more.
void shared_registry_deinit(struct shared_registry *r);

size_t shared_registry_bytes(struct shared_registry *r);

// The dictionary of this name (of 1 to SHARED_NAME_MAX bytes) with a reference for the caller, made where
// there is none; NULL where there is no room for one.
struct shared *shared_open(struct shared_registry *r, struct span name, double now);

// Drops the reference. What the dictionary holds stays; an empty one goes with its last reference.
void shared_unref(struct shared *d, double now);

// Its name, borrowed.
struct span shared_name(const struct shared *d);

// In what follows keys have at most SHARED_KEY_MAX bytes, floats are not NaN, and `ttl` is in seconds:
// INFINITY for a value that stays, 0 for the time that an old value has left (a new one stays).

// Has it be kept from now on, with what it holds. Any thread.
void shared_keep(struct shared *d);

// For the keeper: takes up to `max` changes into the list; they are its to free. A key that changes again is
// there again. Puts one back that could not be kept. All that is held is to be taken anew.
size_t shared_take_changes(struct shared_registry *r, double now, size_t max, struct list *into);
void shared_put_back(struct shared_registry *r, const struct shared_change *c, double now);
void shared_keep_again(struct shared_registry *r);

// For the keeper: a value that was kept, where there is none yet; a dictionary of which one was is kept
// again. False where there is no room. Before the registry has a keeper it is no change.
bool shared_restore(struct shared_registry *r, struct span name, struct span key,
                    const struct shared_value *v, double ttl, double now);

// The value of a key; SHARED_NIL where it has none. The bytes of a string are appended to `into`, where
// v->string borrows them.
void shared_get(struct shared *d, struct span key, double now, struct shared_value *v, struct buf *into);

// Sets a value, whatever was there; SHARED_NIL takes it out.
enum shared_result shared_set(struct shared *d, struct span key, const struct shared_value *v, double ttl,
                              double now);

// Sets a value where there is none.
enum shared_result shared_add(struct shared *d, struct span key, const struct shared_value *v, double ttl,
                              double now);

// Sets a value where the present one is `old`; SHARED_NIL stands for none in both. Numbers are equal as in
// Lua.
enum shared_result shared_cas(struct shared *d, struct span key, const struct shared_value *old,
                              const struct shared_value *v, double ttl, double now);

// Adds the number *v to the value, which is `init` where there is none; `ttl` is for a new value only. The
// sum comes back in *v; after SHARED_NOT_NUMBER, the type of what is there. Integers wrap around.
enum shared_result shared_incr(struct shared *d, struct span key, struct shared_value *v,
                               const struct shared_value *init, double ttl, double now);

// Takes a value out; false where there was none.
bool shared_delete(struct shared *d, struct span key, double now);

// Appends the keys that begin with `prefix` to `into`, each after a byte with its length, in no order. How
// many.
size_t shared_keys(struct shared *d, struct span prefix, double now, struct buf *into);

// The number of values, and the bytes that they are counted with.
size_t shared_count(struct shared *d, double now);
size_t shared_bytes(struct shared *d, double now);
