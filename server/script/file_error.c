// SPDX-License-Identifier: MIT
// Few words for many errnos: those that a script does something else about.
#include "script/file_error.h"
#include <errno.h>
#include <string.h>
#include "script/raise.h"

static const char *code_of(int error) {
  switch (error) {
  case ENOENT:
  case ENOTDIR: return "missing";
  case EACCES:
  case EPERM:
  case EROFS: return "forbidden";
  case EISDIR: return "directory";
  case ENODEV: return "not a file";
  case EFBIG: return "too large";
  case ENAMETOOLONG:
  case ELOOP: return "name";
  case EMFILE:
  case ENFILE: return "busy";
  case EDQUOT:
  case ENOSPC: return "full";
  default: return "failed";
  }
}

int push_file_error(lua_State *L, int error) {
  const char *why = error == ENODEV ? "neither a file nor a folder" : strerror(error);
  return push_failure_code(L, why, code_of(error));
}
