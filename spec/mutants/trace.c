// SPDX-License-Identifier: MIT
// Which basic blocks of the harness have been entered: gcc calls __sanitizer_cov_trace_pc in each where it is
// told -fsanitize-coverage=trace-pc. Not compiled that way itself. Threads beside the specs' may be counted
// or not.
#include <lauxlib.h>
#include <stdint.h>

enum { TEXT_MAX = 8 << 20 };

extern const char __ehdr_start[] __attribute__((visibility("hidden")));

static uint8_t is_entered[TEXT_MAX];
static uint32_t entered[1 << 18];
static int count;

__attribute__((visibility("default"))) void __sanitizer_cov_trace_pc(void) {
  uintptr_t offset = (uintptr_t)__builtin_return_address(0) - (uintptr_t)__ehdr_start;
  if (offset >= TEXT_MAX || is_entered[offset] || count == 1 << 18) return;
  is_entered[offset] = 1, entered[count++] = (uint32_t)offset;
}

// take(): the offsets, in the library, behind the calls that were made since it was called before.
static int trace_take(lua_State *L) {
  lua_createtable(L, count, 0);
  for (int i = 0; i < count; i++) {
    is_entered[entered[i]] = 0;
    lua_pushinteger(L, entered[i]);
    lua_rawseti(L, -2, i + 1);
  }
  count = 0;
  return 1;
}

__attribute__((visibility("default"))) int luaopen_spate_trace(lua_State *L) {
  lua_pushcfunction(L, trace_take);
  return 1;
}
