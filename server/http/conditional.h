// SPDX-License-Identifier: MIT
// Conditional requests (RFC 9110 13): whether what the client has, or expects, is what there is.
#pragma once
#include <stdint.h>
#include "http/request.h"

enum { ETAG_MAX = 64, HTTP_DATE_MAX = 32 };

struct validators {
  struct span etag; // with its quotes
  int64_t modified; // seconds since 1970; -1: none
};

enum condition { CONDITION_MET, CONDITION_NOT_MODIFIED, CONDITION_FAILED };

// Evaluates If-Match, If-Unmodified-Since, If-None-Match and If-Modified-Since in the order of 13.2.2, for a
// GET or HEAD.
enum condition conditional_check(const struct request *r, const struct validators *v);

// False where an If-Range asks for the whole unless it has not changed, and it has. `now`: seconds since
// 1970.
bool conditional_allows_range(const struct request *r, const struct validators *v, int64_t now);

// The entity tag of a file's state, with its quotes. Its length.
size_t etag_write(char out[ETAG_MAX], uint64_t size, int64_t seconds, long nanoseconds, uint64_t inode);

// A date in one of the three forms of 5.6.7 as seconds since 1970; -1 where it is none.
int64_t http_date_read(struct span text);

// The date in the form that is to be sent. Its length.
size_t http_date_write(char out[HTTP_DATE_MAX], int64_t seconds);
