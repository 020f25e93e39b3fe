// SPDX-License-Identifier: MIT
// An error as the person at the terminal reads it.
#pragma once

// Prints "file:line: what" to stderr with the lines of the file around it, a hint where there is one, and
// then the traceback that the message may have. `app` is the script that was loaded: Lua shortens long paths.
void report_error(const char *message, const char *app);
