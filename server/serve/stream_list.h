// SPDX-License-Identifier: MIT
// The streams of a worker as rows of JSON, for who looks after the server. Worker thread only.
#pragma once
#include "serve/survey.h"

enum stream_order { BY_AGE, BY_BYTES, BY_EVENTS, BY_QUEUED, BY_LAG };

enum { STREAM_TEXT_MAX = 200 };

// Where a stream stands in an order, also beside those of other workers: by its key, then by where it lies in
// memory, which costs nothing to know.
struct stream_place {
  double key;
  uint64_t id;
};

// Which of them, and in what order: the first so many, the largest first, or the smallest.
struct stream_query {
  enum stream_order order;
  bool smallest_first;
  bool has_first; // those that stand before `first` are left out
  bool is_places; // only where they stand is wanted
  struct stream_place first;
  uint32_t rows;
  char tag[STREAM_TEXT_MAX + 1];  // "": any
  char text[STREAM_TEXT_MAX + 1]; // in the target, the client's address or the route; "": any
  char id[24];                    // "": any
};

// survey_fn; `about` is a struct stream_query. A line with how many match, then the rows, a line each: key,
// id and JSON, with blanks between; or struct stream_places.
survey_fn stream_list;
