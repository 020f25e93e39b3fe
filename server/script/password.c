// SPDX-License-Identifier: MIT
// crypt_rn takes what is no setting at all for one of the oldest kind: that may never count as a hash. It is
// crypt_r that says "*0" where it fails; a sanitizer puts a function of its own in the place of that one.
#include "script/password.h"
#include <crypt.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>
#include "base/mem.h"

_Static_assert(PASSWORD_HASH_LEN >= CRYPT_OUTPUT_SIZE && PASSWORD_MAX < CRYPT_MAX_PASSPHRASE_SIZE,
               "a hash fits, and a password");

bool password_can_be(struct span password) {
  return password.len <= PASSWORD_MAX && !memchr(password.bytes, 0, password.len);
}

bool password_is_hash(struct span hash) {
  return hash.len && hash.len < PASSWORD_HASH_LEN && !memchr(hash.bytes, 0, hash.len) &&
         crypt_checksalt(hash.bytes) == CRYPT_SALT_OK;
}

// What the password becomes with this setting, or with a hash's own; false where that is none.
static bool make(const char *password, const char *setting, char *hash) {
  struct crypt_data *data = xcalloc(1, sizeof *data);
  const char *made = crypt_rn(password, setting, data, sizeof *data);
  bool ok = made && *made != '*';
  if (ok) memcpy(hash, made, strlen(made) + 1);
  OPENSSL_cleanse(data, sizeof *data);
  free(data);
  return ok;
}

bool password_hash(const char *password, unsigned cost, char *hash) {
  char setting[CRYPT_GENSALT_OUTPUT_SIZE];
  return crypt_gensalt_rn("$y$", cost, NULL, 0, setting, sizeof setting) && make(password, setting, hash);
}

bool password_verify(const char *password, const char *hash) {
  char made[PASSWORD_HASH_LEN];
  size_t len = strlen(hash);
  return make(password, hash, made) && strlen(made) == len && !CRYPTO_memcmp(made, hash, len);
}
