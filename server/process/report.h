// SPDX-License-Identifier: MIT
// An error as the person at the terminal reads it.
#pragma once

// Prints "file:line: what" to stderr with the lines of the file around it, and a hint where there is one.
void report_error(const char *message);
