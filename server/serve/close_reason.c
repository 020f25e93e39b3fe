// SPDX-License-Identifier: MIT
// The names are what logs and scripts see.
#include "serve/close_reason.h"

const char *close_reason_name(enum close_reason r) {
  static const char *const names[] = {"finished",      "client_closed", "error",  "timeout",
                                      "slow_consumer", "shutdown",      "reload", "kicked"};
  return names[r];
}
