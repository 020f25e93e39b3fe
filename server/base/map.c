// SPDX-License-Identifier: MIT
// A hash table of nodes that their owners embed: it allocates its buckets only, and grows before it is
// crowded.
#include "base/map.h"
#include <stdlib.h>
#include <sys/random.h>
#include "base/mem.h"

static void sip_round(uint64_t v[4]) {
  v[0] += v[1], v[2] += v[3];
  v[1] = (v[1] << 13 | v[1] >> 51) ^ v[0], v[3] = (v[3] << 16 | v[3] >> 48) ^ v[2];
  v[0] = v[0] << 32 | v[0] >> 32;
  v[2] += v[1], v[0] += v[3];
  v[1] = (v[1] << 17 | v[1] >> 47) ^ v[2], v[3] = (v[3] << 21 | v[3] >> 43) ^ v[0];
  v[2] = v[2] << 32 | v[2] >> 32;
}

// SipHash-1-3. Where a seed only goes into the start of a simple hash, names can be found that collide for
// all seeds.
uint64_t hash_bytes(struct span s, uint64_t seed) {
  uint64_t other = seed * 0x9e3779b97f4a7c15u, last = (uint64_t)s.len << 56, word;
  uint64_t v[4] = {seed ^ 0x736f6d6570736575u, other ^ 0x646f72616e646f6du, seed ^ 0x6c7967656e657261u,
                   other ^ 0x7465646279746573u};
  size_t whole = s.len - s.len % 8;
  for (size_t i = 0; i < whole; i += 8) {
    memcpy(&word, s.bytes + i, 8);
    v[3] ^= word, sip_round(v), v[0] ^= word;
  }
  for (size_t i = whole; i < s.len; i++) last |= (uint64_t)(unsigned char)s.bytes[i] << (i % 8 * 8);
  v[3] ^= last, sip_round(v), v[0] ^= last;
  v[2] ^= 0xff;
  for (int i = 0; i < 3; i++) sip_round(v);
  return v[0] ^ v[1] ^ v[2] ^ v[3];
}

uint64_t map_seed(const void *place) {
  uint64_t seed;
  bool is_random = getrandom(&seed, sizeof seed, GRND_NONBLOCK) == sizeof seed;
  return is_random ? seed : (uintptr_t)place;
}

void map_init(struct map *m, uint64_t seed) { *m = (struct map){.seed = seed}; }

void map_deinit(struct map *m) {
  free(m->buckets);
  *m = (struct map){0};
}

static struct map_node **bucket_of(const struct map *m, uint64_t hash) {
  return &m->buckets[(hash >> 20) & (m->size - 1)];
}

static void bucket_push(struct map *m, struct map_node *node) {
  struct map_node **bucket = bucket_of(m, node->hash);
  node->next = *bucket;
  *bucket = node;
}

static void map_grow(struct map *m) {
  struct map old = *m;
  m->size = old.size ? old.size * 2 : 16;
  m->buckets = xcalloc(m->size, sizeof *m->buckets);
  for (size_t i = 0; i < old.size; i++)
    for (struct map_node *node = old.buckets[i], *next; node; node = next) {
      next = node->next;
      bucket_push(m, node);
    }
  free(old.buckets);
}

struct map_node *map_find(const struct map *m, struct span name) {
  if (!m->count) return NULL;
  uint64_t hash = hash_bytes(name, m->seed);
  struct map_node *node = *bucket_of(m, hash);
  while (node && (node->hash != hash || !span_equal(node->name, name))) node = node->next;
  return node;
}

void map_insert(struct map *m, struct map_node *node) {
  if (m->count >= m->size) map_grow(m);
  node->hash = hash_bytes(node->name, m->seed);
  bucket_push(m, node);
  m->count++;
}

void map_remove(struct map *m, struct map_node *node) {
  struct map_node **at = bucket_of(m, node->hash);
  while (*at != node) at = &(*at)->next;
  *at = node->next;
  m->count--;
}

// A map that grows moves nodes to higher buckets only.
size_t map_each_of(struct map *m, size_t bucket, size_t n, void (*fn)(struct map_node *node, void *arg),
                   void *arg) {
  size_t end = n < m->size - bucket ? bucket + n : m->size;
  for (; bucket < end; bucket++)
    for (struct map_node *node = m->buckets[bucket], *next; node; node = next) {
      next = node->next;
      fn(node, arg);
    }
  return bucket < m->size ? bucket : 0;
}

void map_each(struct map *m, void (*fn)(struct map_node *node, void *arg), void *arg) {
  map_each_of(m, 0, m->size, fn, arg);
}
