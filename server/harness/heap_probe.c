// SPDX-License-Identifier: MIT
// What this process has allocated, and what of it is not of the Lua state that a spec runs in, to the byte:
// that state's blocks are counted as the heap counts them, by an allocator put before its own until the state
// is closed.
#include <lauxlib.h>
#include <malloc.h>
#include "harness/harness.h"

static const char OWN_HEAP[] = "spate.harness.own_heap";

struct own_heap {
  lua_Alloc allocate;
  void *of_allocate;
  size_t bytes; // since it is counted, modulo 2^64: what was there before may be freed
};

// Of the address sanitizer, where it is there: it counts what was asked for.
size_t __sanitizer_get_current_allocated_bytes(void) __attribute__((weak));

static size_t heap_bytes(void) {
  return __sanitizer_get_current_allocated_bytes ? __sanitizer_get_current_allocated_bytes()
                                                 : mallinfo2().uordblks;
}

// What a block counts for there: glibc keeps its size before it.
static size_t block_bytes(void *block) {
  size_t head = __sanitizer_get_current_allocated_bytes ? 0 : sizeof(size_t);
  return block ? malloc_usable_size(block) + head : 0;
}

static void *count_and_allocate(void *of_heap, void *block, size_t old_size, size_t size) {
  struct own_heap *heap = of_heap;
  size_t before = block_bytes(block);
  void *result = heap->allocate(heap->of_allocate, block, old_size, size);
  if (result || !size) heap->bytes += block_bytes(result) - before;
  return result;
}

// At the end of the state, of which this library is closed before its last blocks are freed.
static int stop_counting(lua_State *L) {
  struct own_heap *heap = lua_touserdata(L, 1);
  lua_setallocf(L, heap->allocate, heap->of_allocate);
  return 0;
}

// All blocks are to be the heap's, of which mallinfo2 tells one number.
static struct own_heap *start_counting(lua_State *L) {
  struct own_heap *heap = lua_newuserdatauv(L, sizeof *heap, 0);
  *heap = (struct own_heap){0};
  heap->allocate = lua_getallocf(L, &heap->of_allocate);
  lua_createtable(L, 0, 1);
  lua_pushcfunction(L, stop_counting);
  lua_setfield(L, -2, "__gc");
  lua_setmetatable(L, -2);
  lua_setfield(L, LUA_REGISTRYINDEX, OWN_HEAP);
  mallopt(M_MMAP_MAX, 0);
  lua_setallocf(L, count_and_allocate, heap);
  return heap;
}

// harness.allocated(): bytes that this process has allocated.
static int allocated(lua_State *L) {
  lua_pushinteger(L, (lua_Integer)heap_bytes());
  return 1;
}

// harness.c_bytes(): how many are allocated outside of this Lua state, more or less a constant.
static int c_bytes(lua_State *L) {
  lua_getfield(L, LUA_REGISTRYINDEX, OWN_HEAP);
  struct own_heap *heap = lua_touserdata(L, -1);
  if (!heap) heap = start_counting(L);
  lua_pushinteger(L, (lua_Integer)(heap_bytes() - heap->bytes));
  return 1;
}

void heap_probe_open(lua_State *L) {
  static const luaL_Reg functions[] = {{"allocated", allocated}, {"c_bytes", c_bytes}, {NULL, NULL}};
  luaL_setfuncs(L, functions, 0);
}
