// SPDX-License-Identifier: MIT
// Why input is not served: the status to answer with, and a short static reason. Status 0: nothing against
// it.
#pragma once

struct refusal {
  int status;
  const char *why;
};

#define ACCEPTED              ((struct refusal){0})
#define REFUSED(code, reason) ((struct refusal){.status = (code), .why = (reason)})
