// SPDX-License-Identifier: MIT
// Why streams and connections end.
#pragma once

enum close_reason {
  REASON_FINISHED,
  REASON_CLIENT_CLOSED,
  REASON_ERROR,
  REASON_TIMEOUT,
  REASON_SLOW_CONSUMER,
  REASON_SHUTDOWN,
  REASON_RELOAD,
  REASON_KICKED,
  REASON_COUNT
};

// "client_closed" and so on, static.
const char *close_reason_name(enum close_reason r);
