// SPDX-License-Identifier: MIT
// Text of scripts and clients as a log and a terminal may have it: control characters (C0, DEL, and C1, which
// some terminals act on) and bytes that are no UTF-8 are written as \xHH. Any thread.
#pragma once
#include "base/buf.h"
#include "base/span.h"

// For between quotes on one line; in JSON the escapes are \uHHHH.
void escape_quoted(struct buf *b, struct span s, bool json);

// Line breaks and tabs stay. Lines after the first begin with `indent`, unless with a tab of their own, so
// that none of them can pass for a line of the log's.
void escape_lines(struct buf *b, struct span s, struct span indent);

// True where a word of a log line has to stand between quotes; `also` is one more character that demands it,
// or 0.
bool escape_needs_quotes(struct span s, char also);
