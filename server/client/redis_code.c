// SPDX-License-Identifier: MIT
// A server says what is wrong by the first word of an error, but for a missing function.
#include "client/redis_code.h"
#include "base/util.h"
#include "client/redis_reader.h"

static const char *const names[] = {
    [REDIS_CODE_OK] = "ok",
    [REDIS_CODE_UNAVAILABLE] = "unavailable",
    [REDIS_CODE_UNKNOWN] = "unknown",
    [REDIS_CODE_CLOSED] = "closed",
    [REDIS_CODE_LOADING] = "loading",
    [REDIS_CODE_READONLY] = "readonly",
    [REDIS_CODE_MOVED] = "moved",
    [REDIS_CODE_ASK] = "ask",
    [REDIS_CODE_NOSCRIPT] = "noscript",
    [REDIS_CODE_OOM] = "oom",
    [REDIS_CODE_NOREPLICAS] = "noreplicas",
    [REDIS_CODE_MISCONF] = "misconf",
    [REDIS_CODE_NOAUTH] = "noauth",
    [REDIS_CODE_WRONGPASS] = "wrongpass",
    [REDIS_CODE_NOPERM] = "noperm",
    [REDIS_CODE_WRONGTYPE] = "wrongtype",
    [REDIS_CODE_ERROR] = "error",
};

static const char *const for_now[] = {"MASTERDOWN", "BUSY", "TRYAGAIN", "CLUSTERDOWN"};

const char *redis_code_name(enum redis_code code) { return names[code]; }

enum redis_code redis_code_of(const redisReply *reply) {
  if (reply->type != REDIS_REPLY_ERROR) return REDIS_CODE_OK;
  struct span rest = redis_text(reply), text = rest, word = span_split(&rest, ' ');
  if (span_equal(text, SPAN("ERR Function not found"))) return REDIS_CODE_NOSCRIPT;
  for (size_t i = 0; i < countof(for_now); i++)
    if (span_equal(word, span_of(for_now[i]))) return REDIS_CODE_LOADING;
  for (int code = REDIS_CODE_LOADING; code < REDIS_CODE_ERROR; code++)
    if (span_equal_nocase(word, span_of(names[code]))) return (enum redis_code)code;
  return REDIS_CODE_ERROR;
}
