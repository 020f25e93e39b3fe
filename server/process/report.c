// SPDX-License-Identifier: MIT
#include "process/report.h"
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/util.h"

enum { CONTEXT = 2 };

// Splits "path:12: what" in place of a copy: the path into `path`, the line returned; 0 where there is none.
static int position_of(const char *message, char *path, size_t cap) {
  const char *colon = strchr(message, ':');
  path[0] = 0;
  if (!colon || (size_t)(colon - message) >= cap) return 0;
  memcpy(path, message, (size_t)(colon - message));
  path[colon - message] = 0;
  return atoi(colon + 1);
}

// Lua writes "...tail" for a path of more than 60 bytes.
static bool is_shortened(const char *path, const char *app) {
  size_t len = strlen(path), app_len = strlen(app);
  return !strncmp(path, "...", 3) && len - 3 <= app_len && !strcmp(path + 3, app + app_len - (len - 3));
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
      {"(global 'io')", "a settings file is read without io and os"},
      {"(global 'os')", "a settings file is read without io and os"},
      {"attempt to call a nil value (method",
       "that method does not exist: check its name against README's API"},
      {"attempt to call a nil value (global",
       "functions of the library come from require \"spate\" and require \"spate.sse\""},
      {"attempt to index a nil value (global", "is a `local name = require ...` missing at the top?"},
      {"end it with `return app`", "the last line of the script is `return app`"},
      {"<eof>", "something that begins above this line has no end: a function, an if, a loop or a bracket"},
      {" near ", "Lua cannot read this line; the mistake may be at the end of the one before"},
      {"module '",
       "modules are looked for beside the script, then on LUA_PATH; Debian's are packages named lua-NAME"},
      {"nothing can wait while the script is loaded",
       "app:on_start(function() ... end) runs once the server does"},
  };
  for (size_t i = 0; i < countof(hints); i++)
    if (strstr(message, hints[i].part)) return hints[i].hint;
  return NULL;
}

// The number of the file's last line, 0 where it cannot be read.
static int last_line_of(const char *path) {
  FILE *f = fopen(path, "r");
  int lines = 0, last = '\n';
  for (int c; f && (c = getc(f)) != EOF; last = c) lines += c == '\n';
  if (f) fclose(f);
  return lines + (last != '\n');
}

static bool is_users(const char *line) {
  return strncmp(line, "\n\t[C]", 5) != 0 && strncmp(line, "\n\tspate/", 8) != 0 &&
         strncmp(line, "\n\t(...", 6) != 0;
}

// True when more functions of the user's are in it than the one that the excerpt shows.
static bool is_telling(const char *traceback) {
  int users = 0;
  for (const char *line = strchr(traceback, '\n'); line; line = strchr(line + 1, '\n'))
    users += is_users(line);
  return users > 1;
}

// What comes after the first line: the places where a module was looked for, a traceback.
static void print_rest(const char *rest) {
  const char *traceback = strstr(rest, "\nstack traceback:");
  size_t len = traceback && !is_telling(traceback + 1) ? (size_t)(traceback - rest) : strlen(rest);
  if (len > 1) fprintf(stderr, "%.*s\n", (int)(len - 1), rest + 1);
}

void report_error(const char *message, const char *app) {
  char path[1024];
  const char *hint = hint_of(message);
  size_t len = strcspn(message, "\n");
  int line = position_of(message, path, sizeof path);
  bool is_whole = !line && !strcmp(path, app) && (line = last_line_of(app)) > 0;
  if (is_whole)
    fprintf(stderr, "spate: %s:%d%.*s\n", path, line, (int)(len - strlen(path)), message + strlen(path));
  else fprintf(stderr, "spate: %.*s\n", (int)len, message);
  print_excerpt(is_shortened(path, app) ? app : path, line);
  if (hint) fprintf(stderr, "hint: %s\n", hint);
  print_rest(message + len);
}
