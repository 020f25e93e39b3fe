// SPDX-License-Identifier: MIT
// A protocol of the harness with many streams on one connection, for what holds of any such: frames of its
// own, windows, streams that end alone. A client sends lines: "open ID PATH", "window ID BYTES", "reset ID".
// It gets lines "ID head STATUS", "ID data BYTES" with so many bytes behind, "ID end", "ID cut", "ID reset".
#pragma once
#include "http/proto.h"

// A connection's; free with ops->free.
struct proto *mux_new(const struct proto_sink *sink, const struct proto_limits *limits);
