// SPDX-License-Identifier: MIT
// A file is read whole and loaded from memory, so that what was loaded and what was noted of it are the same
// bytes.
#include "script/source.h"
#include <lauxlib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/mem.h"
#include "base/sources.h"
#include "script/class.h"
#include "script/vm.h"

enum { PIECE_LEN = 64 << 10 };

static struct sources *sources_of(lua_State *L) {
  const struct process_state *p = vm_of(L)->service->process;
  return p ? p->sources : NULL;
}

// The file's content in a buffer that is pushed; false where it cannot be read.
static bool push_content(lua_State *L, const char *path) {
  struct buf *b = push_buf(L);
  size_t n = 1;
  FILE *f = fopen(path, "rb");
  if (!f) return false;
  while ((n = fread(buf_reserve(b, PIECE_LEN), 1, PIECE_LEN, f)) > 0) b->len += n;
  bool is_read = !ferror(f); // a folder can be opened
  fclose(f);
  return is_read;
}

// What Lua itself leaves out: a byte order mark, a first line that begins with '#'.
static struct span without_preamble(struct span text) {
  if (text.len >= 3 && !memcmp(text.bytes, "\xEF\xBB\xBF", 3)) text.bytes += 3, text.len -= 3;
  if (!text.len || text.bytes[0] != '#') return text;
  const char *end = memchr(text.bytes, '\n', text.len);
  if (!end) return (struct span){"", 0};
  return (struct span){end, text.len - (size_t)(end - text.bytes)};
}

int source_load(lua_State *L, const char *path) {
  struct sources *sources = path ? sources_of(L) : NULL;
  if (!sources) return luaL_loadfilex(L, path, "t");
  if (!push_content(L, path)) {
    sources_add_missing(sources, path);
    lua_pop(L, 1);
    return luaL_loadfilex(L, path, "t"); // for its message
  }
  struct buf *content = lua_touserdata(L, -1);
  sources_add(sources, path, buf_span(content));
  struct span text = without_preamble(buf_span(content));
  lua_pushfstring(L, "@%s", path);
  int status = luaL_loadbufferx(L, text.bytes, text.len, lua_tostring(L, -1), "t");
  buf_deinit(content);
  lua_remove(L, -2);
  lua_remove(L, -2);
  return status;
}

void source_note_missing(lua_State *L, const char *module) {
  struct sources *sources = sources_of(L);
  const char *app = vm_of(L)->app, *slash = app ? strrchr(app, '/') : NULL;
  if (!sources || !app) return;
  char *name = xstrdup(module), *file;
  for (char *c = name; *c; c++)
    if (*c == '.') *c = '/';
  int len = slash ? (int)(slash - app) : 1;
  sources_add_missing(sources, file = xasprintf("%.*s/%s.lua", len, slash ? app : ".", name));
  free(file);
  sources_add_missing(sources, file = xasprintf("%.*s/%s/init.lua", len, slash ? app : ".", name));
  free(file);
  free(name);
}

int core_watch(lua_State *L) {
  const char *path = luaL_checkstring(L, 1);
  struct sources *sources = sources_of(L);
  if (sources) sources_add_path(sources, path);
  return 0;
}
