// SPDX-License-Identifier: MIT
// Files for the library. Each is open from the moment a reply is made of it, so that a missing one is known
// in time, to the end of its answer; one that no answer takes is closed with the request.
#pragma once
#include <lua.h>

// Sets in the table on top:
// core.open_root(dir): a folder to serve from; or nil and why not.
// core.open_file(path [, root [, dotfiles]]): a file; or nil and "missing", "directory", "forbidden" or
// "busy". core.answer_file(req, status, type, file [, fields]): answers with it; false where it has been sent
// already.
void file_functions_open(lua_State *L);
