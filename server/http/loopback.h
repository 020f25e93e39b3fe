// SPDX-License-Identifier: MIT
// Hosts that only this machine can mean, as browsers write them.
#pragma once
#include <stdbool.h>
#include "base/span.h"

// True for localhost, names below it, 127.0.0.0/8 and [::1], with a port or without.
bool host_is_loopback(struct span host);
