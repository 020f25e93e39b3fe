// SPDX-License-Identifier: MIT
#include "process/report.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/util.h"

enum { CONTEXT = 2 };

// Splits "path:12: what" in place of a copy: the path into `path`, the line returned; 0 where there is none.
static int position_of(const char *message, char *path, size_t cap) {
  const char *colon = strchr(message, ':');
  if (!colon || (size_t)(colon - message) >= cap) return 0;
  memcpy(path, message, (size_t)(colon - message));
  path[colon - message] = 0;
  return atoi(colon + 1);
}

static void print_excerpt(const char *path, int line) {
  char text[512];
  FILE *f = line > 0 ? fopen(path, "r") : NULL;
  if (!f) return;
  for (int n = 1; n <= line + CONTEXT && fgets(text, sizeof text, f); n++) {
    text[strcspn(text, "\r\n")] = 0;
    if (n >= line - CONTEXT) fprintf(stderr, "  %s %4d | %s\n", n == line ? ">" : " ", n, text);
  }
  fclose(f);
}

static const char *hint_of(const char *message) {
  static const struct {
    const char *part, *hint;
  } hints[] = {
      {"attempt to call a nil value (method",
       "that method does not exist: check its name against README's API"},
      {"attempt to call a nil value (global",
       "functions of the library come from require \"spate\" and require \"spate.sse\""},
      {"attempt to index a nil value (global", "is a `local name = require ...` missing at the top?"},
      {"end it with `return app`", "the last line of the script is `return app`"},
      {"module '",
       "modules are looked for beside the script, then on LUA_PATH; Debian's are packages named lua-NAME"},
      {"nothing can wait while the script is loaded",
       "app:on_start(function() ... end) runs once the server does"},
  };
  for (size_t i = 0; i < countof(hints); i++)
    if (strstr(message, hints[i].part)) return hints[i].hint;
  return NULL;
}

void report_error(const char *message) {
  char path[1024];
  const char *hint = hint_of(message);
  int line = position_of(message, path, sizeof path);
  fprintf(stderr, "spate: %s\n", message);
  print_excerpt(path, line);
  if (hint) fprintf(stderr, "hint: %s\n", hint);
}
