// SPDX-License-Identifier: MIT
// The program's way in: a command has ended once its options are read, or it serves.
#include <stdio.h>
#include "harness/harness.h"
#include "process/server.h"

int main(int argc, char **argv) {
  struct options o;
  int code = options_read(&o, argc, argv, luaopen_spate_harness);
  if (o.error) fprintf(stderr, "spate: %s\n", o.error);
  if (code < 0) code = server_run(&o);
  options_deinit(&o);
  return code;
}
