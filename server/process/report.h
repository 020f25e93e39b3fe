// SPDX-License-Identifier: MIT
// An error as the person at the terminal reads it.
#pragma once

// Prints to stderr what the Lua state that failed has made of its error.
void report_error(const char *report);
