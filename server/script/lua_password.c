// SPDX-License-Identifier: MIT
// Passwords for scripts. A hash is made by a thread of its pool while the task waits; where there is no task,
// as an application is loaded, at once. A password's bytes are wiped when that is done.
#include <lauxlib.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include "base/mem.h"
#include "script/bindings.h"
#include "script/errand.h"
#include "script/password.h"
#include "script/raise.h"
#include "script/vm.h"

struct password_errand {
  struct errand errand;
  char password[PASSWORD_MAX + 1], hash[PASSWORD_HASH_LEN];
  unsigned cost;
  bool verifies, is_known; // there is a hash to compare with
  bool ok;
};

static struct password_errand *password_of(struct errand *e) {
  return container_of(e, struct password_errand, errand);
}

// Where there is no hash the time is that of any other comparison.
static void password_run(struct errand *e) {
  struct password_errand *p = password_of(e);
  if (!p->verifies || !p->is_known) p->ok = password_hash(p->password, p->cost, p->hash);
  else p->ok = password_verify(p->password, p->hash);
  if (p->verifies && !p->is_known) p->ok = false;
}

static int password_push(lua_State *L, struct errand *e) {
  struct password_errand *p = password_of(e);
  if (p->verifies) return lua_pushboolean(L, p->ok), 1;
  if (!p->ok) return push_failure_code(L, "password.hash: libxcrypt refuses this password", "refused");
  lua_pushstring(L, p->hash);
  return 1;
}

static void password_free(struct errand *e) {
  struct password_errand *p = password_of(e);
  OPENSSL_cleanse(p->password, sizeof p->password);
  free(p);
}

static const struct errand_ops password_ops = {
    .run = password_run, .push = password_push, .free = password_free};

static struct span span_at(lua_State *L, int index) {
  struct span s;
  s.bytes = luaL_checklstring(L, index, &s.len);
  return s;
}

// Hashes, or compares with the hash, if any, at index 2.
static int password_call(lua_State *L, bool verifies, const char *what) {
  struct span password = span_at(L, 1), hash = verifies && !lua_isnil(L, 2) ? span_at(L, 2) : SPAN("");
  unsigned cost = verifies ? 0 : (unsigned)luaL_optinteger(L, 2, 0);
  struct task *t = vm_of(L)->current ? task_check(L, what) : NULL;
  struct held **box = held_push_closed(L);
  struct password_errand *p = xcalloc(1, sizeof *p);
  p->verifies = verifies, p->is_known = hash.len, p->cost = cost;
  memcpy(p->password, password.bytes, password.len);
  memcpy(p->hash, hash.bytes, hash.len);
  errand_put(L, box, &p->errand, &password_ops);
  if (t) return errand_wait(L, t, lua_gettop(L), WORK_HASHES, what);
  password_run(&p->errand);
  return password_push(L, &p->errand);
}

// core.password_hash(password [, cost]): its hash; nil, a message and a word.
static int core_password_hash(lua_State *L) {
  if (!password_can_be(span_at(L, 1)))
    return push_failure_code(
        L, lua_pushfstring(L, "password.hash: expected at most %d bytes, and no NUL", PASSWORD_MAX),
        "refused");
  return password_call(L, false, "password.hash");
}

// core.password_verify(password, hash or nil): whether it is the one; nil, a message and a word.
static int core_password_verify(lua_State *L) {
  lua_settop(L, 2);
  if (!lua_isnil(L, 2) && !password_is_hash(span_at(L, 2)))
    return push_failure_code(L, "password.verify: the hash is none that password.hash makes", "hash");
  if (!password_can_be(span_at(L, 1))) return lua_pushboolean(L, false), 1;
  return password_call(L, true, "password.verify");
}

// core.password_is_hash(text): whether it is what password_verify can take.
static int core_password_is_hash(lua_State *L) {
  lua_pushboolean(L, password_is_hash(span_at(L, 1)));
  return 1;
}

void password_open(lua_State *L) {
  static const luaL_Reg functions[] = {{"password_hash", core_password_hash},
                                       {"password_verify", core_password_verify},
                                       {"password_is_hash", core_password_is_hash},
                                       {NULL, NULL}};
  luaL_setfuncs(L, functions, 0);
}
