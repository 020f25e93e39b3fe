// SPDX-License-Identifier: MIT
// Memory that malloc keeps of a burst, which others on the machine could use. One thread at a time.
#pragma once

struct spare {
  double rest; // bytes that were resident and not allocated when it was last given back
};

// Gives it back to the system where it is much. That takes some 0.1 ms for each MB, during which whoever
// allocates waits.
void spare_give_back(struct spare *s);
