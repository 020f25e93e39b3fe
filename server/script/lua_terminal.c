// SPDX-License-Identifier: MIT
// The terminal for a program that draws on it and takes single keys. What it was is put back by give_back,
// and by a handler where a signal ends the program meanwhile; so it is the process's, and one of a process at
// most.
#include <errno.h>
#include <lauxlib.h>
#include <signal.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>
#include "base/util.h"
#include "script/bindings.h"

// The other screen, without a cursor, empty; and back.
static const char BEGIN[] = "\33[?1049h\33[?25l\33[2J", END[] = "\33[?25h\33[?1049l";
static const int ENDINGS[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM};

static struct termios modes_before;
static struct sigaction actions_before[countof(ENDINGS)];

// In a signal handler too.
static void put_back(void) {
  ssize_t n = write(STDOUT_FILENO, END, sizeof END - 1);
  (void)n; // who has closed the terminal sees nothing
  tcsetattr(STDIN_FILENO, TCSANOW, &modes_before);
}

// SA_RESETHAND: the second time it ends the process, once this has returned.
static void on_ending(int number) {
  put_back();
  raise(number);
}

// What is ignored, as under nohup, stays so. SIGTTOU would stop who puts a terminal back that others have.
static void watch_endings(void) {
  struct sigaction action = {.sa_handler = on_ending, .sa_flags = SA_RESETHAND};
  sigaddset(&action.sa_mask, SIGTTOU);
  for (size_t i = 0; i < countof(ENDINGS); i++) {
    sigaction(ENDINGS[i], NULL, &actions_before[i]);
    if (actions_before[i].sa_handler != SIG_IGN) sigaction(ENDINGS[i], &action, NULL);
  }
}

// core.terminal_take(): keys come one by one and are not shown, Ctrl-C is one of them. nil and why where it
// cannot be.
static int terminal_take(lua_State *L) {
  if (tcgetattr(STDIN_FILENO, &modes_before)) return lua_pushnil(L), lua_pushstring(L, strerror(errno)), 2;
  struct termios modes = modes_before;
  modes.c_lflag &= ~(tcflag_t)(ICANON | ECHO | ISIG);
  modes.c_cc[VMIN] = 1, modes.c_cc[VTIME] = 0;
  watch_endings();
  tcsetattr(STDIN_FILENO, TCSADRAIN, &modes);
  ssize_t n = write(STDOUT_FILENO, BEGIN, sizeof BEGIN - 1);
  (void)n; // as of END
  lua_pushboolean(L, 1);
  return 1;
}

// core.terminal_give_back(): what terminal_take has changed.
static int terminal_give_back(lua_State *L) {
  (void)L;
  put_back();
  for (size_t i = 0; i < countof(ENDINGS); i++) sigaction(ENDINGS[i], &actions_before[i], NULL);
  return 0;
}

void lua_terminal_open(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"terminal_take", terminal_take}, {"terminal_give_back", terminal_give_back}, {NULL, NULL}};
  luaL_setfuncs(L, functions, 0);
}
