// SPDX-License-Identifier: MIT
// An application in a throw-away state, for commands that look at it.
#pragma once
#include <lua.h>

// Loads the application at `path` in a state of its own that serves nobody, by the library's module `module`,
// and returns the text that the module's function makes of it. NULL with a reason in *error; the caller frees
// either.
char *inspect(const char *module, const char *path, char **error);
