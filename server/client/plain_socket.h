// SPDX-License-Identifier: MIT
// A socket that begins to connect. Any thread.
#pragma once
#include "base/address.h"

// To an address of a port, or of this machine to the socket at `path`. -1: it failed at once, errno says why.
int plain_socket(const struct address *to, unsigned port, const char *path);
