// SPDX-License-Identifier: MIT
// Which change of the core a process has, by $MUTANT: a number, 0 for none.
#include <stdlib.h>

int mutants_choice(void);

static int choice;

__attribute__((constructor)) static void read_choice(void) {
  const char *text = getenv("MUTANT");
  choice = text ? atoi(text) : 0;
}

int mutants_choice(void) { return choice; }
