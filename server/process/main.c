// SPDX-License-Identifier: MIT
#include "process/server.h"

int main(int argc, char **argv) {
  struct options o;
  int code = options_read(&o, argc, argv);
  if (code < 0) code = server_run(&o);
  options_deinit(&o);
  return code;
}
