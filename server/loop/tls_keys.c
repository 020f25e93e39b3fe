// SPDX-License-Identifier: MIT
// A key makes tickets for an hour and is known for two more. Whoever asks next makes the new one, so that
// nothing runs while nobody comes. A copy goes out, so the lock is never held while one is used.
#include "loop/tls_keys.h"
#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <string.h>
#include "base/lock.h"

static const double USED_SECONDS = 3600, KNOWN_SECONDS = 3 * 3600.0;

void tls_keys_init(struct tls_keys *k, const struct clock *clock) {
  *k = (struct tls_keys){.clock = clock};
  lock_init(&k->lock);
}

void tls_keys_deinit(struct tls_keys *k) {
  OPENSSL_cleanse(k->keys, sizeof k->keys);
  lock_deinit(&k->lock);
}

static bool key_make(struct tls_key *key, double now) {
  key->made_at = now;
  key->is_made = RAND_bytes(key->name, sizeof key->name) == 1 &&
                 RAND_priv_bytes(key->cipher, sizeof key->cipher) == 1 &&
                 RAND_priv_bytes(key->mac, sizeof key->mac) == 1;
  return key->is_made;
}

static bool key_is_young(const struct tls_key *key, double now, double seconds) {
  return key->is_made && now - key->made_at < seconds;
}

// With the lock held.
static bool keys_rotate(struct tls_keys *k, double now) {
  memmove(k->keys + 1, k->keys, sizeof k->keys - sizeof k->keys[0]);
  return key_make(&k->keys[0], now);
}

bool tls_keys_current(struct tls_keys *k, struct tls_key *out) {
  double now = clock_now(k->clock);
  lock_take(&k->lock);
  bool ok = key_is_young(&k->keys[0], now, USED_SECONDS) || keys_rotate(k, now);
  if (ok) *out = k->keys[0];
  lock_release(&k->lock);
  return ok;
}

bool tls_keys_find(struct tls_keys *k, const unsigned char name[TLS_KEY_NAME_LEN], struct tls_key *out) {
  double now = clock_now(k->clock);
  bool found = false;
  lock_take(&k->lock);
  for (int i = 0; i < TLS_KEYS && !found; i++) {
    const struct tls_key *key = &k->keys[i];
    found = key_is_young(key, now, KNOWN_SECONDS) && !memcmp(key->name, name, TLS_KEY_NAME_LEN);
    if (found) *out = *key;
  }
  lock_release(&k->lock);
  return found;
}
