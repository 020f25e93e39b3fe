// SPDX-License-Identifier: MIT
// Targets as they may be written to a log: without the values of query parameters that are secrets.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include "base/span.h"

enum { SHORT_NAME_MAX = 32, SHORT_NAMES_MAX = 32 };

// A short list of names.
struct short_names {
  unsigned count;
  char list[SHORT_NAMES_MAX][SHORT_NAME_MAX];
};

// In any case of their letters.
bool short_names_have(const struct short_names *names, struct span name);

// Room for the result below.
static inline size_t redacted_max(struct span target) { return target.len * 3 + 3; }

// Writes the target with "***" in place of the values of parameters with one of these names, however they are
// encoded; the length.
size_t redact_target(const struct short_names *names, struct span target, char *out);
