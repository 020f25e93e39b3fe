// SPDX-License-Identifier: MIT
// A command that waits for the world: a module of the library runs as a task, on a loop, and nobody is
// served.
#pragma once

// Calls what the library's module is, a function, with the text: the number that it returns, and where it
// returns a text behind that, that in *message (the caller frees it). -1 with a message where it fails.
int run_alone(const char *module, const char *text, char **message);
