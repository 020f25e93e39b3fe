// SPDX-License-Identifier: MIT
// Targets as they may be written to a log: without the values of query parameters that are secrets.
#pragma once
#include "base/settings.h"
#include "base/span.h"

// Room for the result below.
static inline size_t redacted_max(struct span target) { return target.len * 3 + 3; }

// Writes the target with "***" in place of the values of parameters with one of these names, however they are
// encoded; the length.
size_t redact_target(const struct short_names *names, struct span target, char *out);
