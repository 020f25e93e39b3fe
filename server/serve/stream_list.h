// SPDX-License-Identifier: MIT
// The streams of a worker as rows of JSON, for who looks after the server. Worker thread only.
#pragma once
#include "serve/survey.h"

enum stream_order { BY_AGE, BY_BYTES, BY_EVENTS, BY_QUEUED, BY_LAG };

enum { STREAM_TEXT_MAX = 200, STREAM_ROWS_MAX = 1000 };

// Which of them, and in what order: the `last` so many of it, the largest first, or the smallest.
struct stream_query {
  enum stream_order order;
  bool smallest_first;
  uint32_t rows;                  // at most STREAM_ROWS_MAX
  char tag[STREAM_TEXT_MAX + 1];  // "": any
  char text[STREAM_TEXT_MAX + 1]; // in the target, the client's address or the route; "": any
  char id[24];                    // "": any
};

// survey_fn; `about` is a struct stream_query. A line with how many there are, then the rows, a line each.
survey_fn stream_list;
