// SPDX-License-Identifier: MIT
// The command line is taken apart by a Lua module in a state of its own, which ends before the server starts.
// Commands other than serve and dev are run there as well: modules of their own, with the C functions below.
#include "script/lua_cli.h"
#include <jansson.h>
#include <lauxlib.h>
#include <limits.h>
#include <lualib.h>
#include <openssl/crypto.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/mem.h"
#include "base/util.h"
#include "client/http_client.h"
#include "client/pg_connection.h"
#include "client/redis_reader.h"
#include "client/sqlite_connection.h"
#include "event/deflater.h"
#include "http/head.h"
#include "http/http2.h"
#include "loop/control_client.h"
#include "loop/loop.h"
#include "loop/ring.h"
#include "script/alone.h"
#include "script/bindings.h"
#include "script/inspect.h"
#include "script/lua_certificates.h"
#include "script/lua_report.h"
#include "script/lua_require.h"
#include "script/lua_settings.h"
#include "script/lua_store.h"
#include "script/password.h"
#include "script/vm.h"

// The addresses of the table at `table`. Each with https needs a certificate, each redirect an https.
static void read_listen(lua_State *L, int table, struct options *o) {
  bool has_https = false;
  listen_free(&o->listen);
  if (lua_getfield(L, table, "listen") == LUA_TNIL) return;
  listen_read(L, &o->listen);
  for (size_t i = 0; i < o->listen.count; i++) has_https |= o->listen.list[i].is_secure;
  if (has_https && !o->settings.tls.count)
    luaL_error(L, "listen: https needs a certificate: tls = { cert = \"FILE\", key = \"FILE\" }");
  for (size_t i = 0; i < o->listen.count; i++)
    if (o->listen.list[i].redirects && !o->listen.list[i].port && !has_https)
      luaL_error(L, "listen[%d].redirect: there is no address of https to redirect to", (int)i + 1);
}

static void read_workers(lua_State *L, int table, struct options *o) {
  lua_getfield(L, table, "workers");
  const char *text = lua_isnil(L, -1) ? "1" : luaL_tolstring(L, -1, NULL);
  char *end;
  long n = !strcmp(text, "auto") ? sysconf(_SC_NPROCESSORS_ONLN) : strtol(text, &end, 10);
  if (strcmp(text, "auto") != 0 && (*end || end == text)) n = 0;
  if (n < 1 || n > 256) luaL_error(L, "workers: expected a number from 1 to 256 or \"auto\", got '%s'", text);
  o->workers = (int)n;
}

// native.take_token(): what SPATE_ADMIN_TOKEN is, or nil. From then on the environment does not have it, so
// that no program that the application starts can see or end what its streams are; nor has /proc, where such
// a program could look.
static int take_token(lua_State *L) {
  struct options *o = lua_touserdata(L, lua_upvalueindex(1));
  char *value = getenv(ADMIN_TOKEN_VARIABLE);
  if (!value) return 0;
  lua_pushstring(L, value);
  free(o->admin_token);
  o->admin_token = xstrdup(value);
  explicit_bzero(value, strlen(value));
  unsetenv(ADMIN_TOKEN_VARIABLE);
  return 1;
}

// native.take_settings(table, how): the settings of file and flags into *o (upvalue 1). `how` has the flags
// `listen_is_configured`, `admin_is_configured`, `admin_is_usual`, `only_starts`, `dev` and `inject`.
static int take_settings(lua_State *L) {
  struct options *o = lua_touserdata(L, lua_upvalueindex(1));
  lua_getfield(L, 2, "dev");
  if (lua_toboolean(L, -1)) settings_for_dev(&o->settings);
  settings_read(L, 1, &o->settings);
  read_listen(L, 1, o);
  read_workers(L, 1, o);
  if (!strncmp(o->settings.admin.address, "https://", 8) && !o->settings.tls.count)
    luaL_error(L, "admin: https needs a certificate: tls = { cert = \"FILE\", key = \"FILE\" }");
  lua_getfield(L, 2, "only_starts");
  lua_getfield(L, 2, "listen_is_configured");
  lua_getfield(L, 2, "dev");
  lua_getfield(L, 2, "inject");
  lua_getfield(L, 2, "admin_is_configured");
  lua_getfield(L, 2, "admin_is_usual");
  o->admin_is_usual = lua_toboolean(L, -1);
  o->admin_is_configured = lua_toboolean(L, -2);
  lua_pop(L, 2);
  o->only_starts = lua_toboolean(L, -4);
  o->listen_is_configured = lua_toboolean(L, -3);
  o->settings.dev.on = lua_toboolean(L, -2);
  o->settings.dev.inject = lua_toboolean(L, -1);
  return 0;
}

// native.check_settings(table): raises as settings_read does, and keeps nothing.
static int check_settings(lua_State *L) {
  struct settings s = settings_default();
  luaL_checktype(L, 1, LUA_TTABLE);
  settings_read(L, 1, &s);
  return 0;
}

// native.embedded(name): the text of a file that is inside the program, or nil.
static int embedded_text(lua_State *L) {
  const struct embedded *m = embedded_find(luaL_checkstring(L, 1));
  if (m) lua_pushlstring(L, m->bytes, (size_t)(m->end - m->bytes));
  else lua_pushnil(L);
  return 1;
}

// native.make_directory(path): true, or nil and why not.
static int make_directory(lua_State *L) {
  const char *path = luaL_checkstring(L, 1);
  return luaL_fileresult(L, mkdir(path, 0777) == 0, path);
}

// native.ask_password(prompt): what is typed at the terminal, unseen; nil where there is none.
static int ask_password(lua_State *L) {
  char *password = getpass(luaL_checkstring(L, 1));
  lua_pushstring(L, password);
  if (password) OPENSSL_cleanse(password, strlen(password));
  return 1;
}

// native.password_hash(password [, cost]): nil where it is refused.
static int hash_password(lua_State *L) {
  char hash[PASSWORD_HASH_LEN];
  struct span password;
  password.bytes = luaL_checklstring(L, 1, &password.len);
  bool ok =
      password_can_be(password) && password_hash(password.bytes, (unsigned)luaL_optinteger(L, 2, 0), hash);
  lua_pushstring(L, ok ? hash : NULL);
  return 1;
}

// native.is_terminal(fd)
static int is_terminal(lua_State *L) {
  lua_pushboolean(L, isatty((int)luaL_checkinteger(L, 1)));
  return 1;
}

// native.inspect(module, path): what spate's module makes of an application, or nil and why it cannot.
static int inspect_app(lua_State *L) {
  const char *module = luaL_checkstring(L, 1), *path = luaL_checkstring(L, 2);
  char *error = NULL, *text = inspect(module, path, &error);
  if (!text) lua_pushnil(L);
  lua_pushstring(L, text ? text : error);
  free(text);
  free(error);
  return text ? 1 : 2;
}

// native.run_alone(module, text): what the function that is the library's module returns, run as a task that
// may wait for other hosts: a number, and a message or nil.
static int run_module(lua_State *L) {
  const char *module = luaL_checkstring(L, 1), *text = luaL_checkstring(L, 2);
  char *message = NULL;
  int code = run_alone(module, text, &message);
  lua_pushinteger(L, code < 0 ? EXIT_APP : code); // below 0 is to go on and serve
  lua_pushstring(L, message);
  free(message);
  return 2;
}

static void on_interrupt(int number) {
  (void)number;
  _exit(EXIT_INTERRUPT);
}

// native.end_by_interrupt(): from now on Ctrl-C ends the program with 130.
static int end_by_interrupt(lua_State *L) {
  (void)L;
  signal(SIGINT, on_interrupt);
  return 0;
}

// native.servers(): the numbers of this user's processes that have a control socket.
static int list_servers(lua_State *L) {
  pid_t pids[CONTROL_PIDS_MAX];
  size_t n = control_list(pids);
  lua_newtable(L);
  for (size_t i = 0; i < n; i++) {
    lua_pushinteger(L, pids[i]);
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  return 1;
}

// native.ask(pid, question, seconds): the answer of its control socket, or nil.
static int ask_server(lua_State *L) {
  struct buf answer = {0};
  pid_t pid = (pid_t)luaL_checkinteger(L, 1);
  const char *question = lua_pushfstring(L, "%s\n", luaL_checkstring(L, 2));
  if (control_ask(pid, question, luaL_checknumber(L, 3), &answer))
    lua_pushlstring(L, answer.bytes, answer.len);
  else lua_pushnil(L);
  buf_deinit(&answer);
  return 1;
}

// native.wait_for_end(pid, seconds): true once the process is gone.
static int wait_for_end(lua_State *L) {
  struct pollfd p = {.fd = pidfd_open((pid_t)luaL_checkinteger(L, 1), 0), .events = POLLIN};
  bool ended = p.fd < 0 || poll(&p, 1, (int)(luaL_checknumber(L, 2) * 1e3)) == 1;
  if (p.fd >= 0) close(p.fd);
  lua_pushboolean(L, ended);
  return 1;
}

// native.real_path(path): the same without symlinks, from the root; the path itself where nothing is there.
static int real_path(lua_State *L) {
  char found[PATH_MAX];
  const char *path = luaL_checkstring(L, 1);
  lua_pushstring(L, realpath(path, found) ? found : path);
  return 1;
}

// Pushes what the program is made of: a list of { name =, version = }. Where a library is shared and can
// tell, it is the version that runs.
static void push_libraries(lua_State *L) {
  const struct {
    const char *name, *version;
  } libraries[] = {{"Lua", LUA_VERSION_MAJOR "." LUA_VERSION_MINOR "." LUA_VERSION_RELEASE},
                   {"libev", loop_library_version()},
                   {"llhttp", head_library_version()},
                   {"jansson", jansson_version_str()},
                   {"OpenSSL", OpenSSL_version(OPENSSL_VERSION_STRING)},
                   {"libcurl", http_client_library_version()},
                   {"SQLite", sqlite_library_version()},
                   {"libpq", pg_library_version()},
                   {"nghttp2", http2_library_version() ? http2_library_version() : "left out"},
                   {"hiredis", redis_library_version()},
                   {"zlib", deflater_library_version()},
                   {"liburing", ring_library_version()}};
  lua_createtable(L, countof(libraries), 0);
  for (size_t i = 0; i < countof(libraries); i++) {
    lua_createtable(L, 0, 2);
    lua_pushstring(L, libraries[i].name);
    lua_setfield(L, -2, "name");
    lua_pushstring(L, libraries[i].version ? libraries[i].version : "left out");
    lua_setfield(L, -2, "version");
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
}

// Pushes the table of C functions for the command line's modules.
static void push_native(lua_State *L, struct options *o) {
  static const luaL_Reg functions[] = {{"check_settings", check_settings},
                                       {"nearest", core_nearest},
                                       {"embedded", embedded_text},
                                       {"make_directory", make_directory},
                                       {"inspect", inspect_app},
                                       {"is_terminal", is_terminal},
                                       {"end_by_interrupt", end_by_interrupt},
                                       {"servers", list_servers},
                                       {"ask", ask_server},
                                       {"run_alone", run_module},
                                       {"wait_for_end", wait_for_end},
                                       {"real_path", real_path},
                                       {"ask_password", ask_password},
                                       {"password_hash", hash_password},
                                       {NULL, NULL}};
  luaL_newlib(L, functions);
  lua_pushlightuserdata(L, o);
  lua_pushcclosure(L, take_settings, 1);
  lua_setfield(L, -2, "take_settings");
  lua_pushlightuserdata(L, o);
  lua_pushcclosure(L, take_token, 1);
  lua_setfield(L, -2, "take_token");
  lua_pushliteral(L, SPATE_VERSION);
  lua_setfield(L, -2, "version");
  lua_pushliteral(L, SPATE_COMMIT);
  lua_setfield(L, -2, "commit");
  push_libraries(L);
  lua_setfield(L, -2, "libraries");
  lua_store_open(L);
  lua_certificates_open(L);
}

// The message on top of the stack as the text that a person reads, in its place.
static void push_report(lua_State *L) {
  lua_getglobal(L, "require");
  lua_pushliteral(L, "spate.report");
  lua_call(L, 1, 1);
  lua_getfield(L, -1, "of_loading");
  lua_pushvalue(L, -3);
  lua_call(L, 1, 1);
  lua_replace(L, -3);
  lua_pop(L, 1);
}

// run_cli(options, argv, harness): an exit code, or nil where there is something to serve.
static int run_cli(lua_State *L) {
  struct options *o = lua_touserdata(L, 1);
  char **argv = lua_touserdata(L, 2);
  luaL_openlibs(L);
  require_embedded_first(L);
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  json_open(L, settings_default().limits.json_depth);
  lua_setfield(L, -2, "spate.json");
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
  lua_pushvalue(L, 3);
  lua_setfield(L, -2, "spate.harness");
  lua_getglobal(L, "require");
  lua_pushliteral(L, "spate.cli");
  lua_call(L, 1, 1);
  lua_newtable(L);
  for (int i = 0; argv[i]; i++) {
    lua_pushstring(L, argv[i]);
    lua_rawseti(L, -2, i);
  }
  push_native(L, o);
  lua_call(L, 2, 2); // nil, path of the application; or exit code, message or nil
  if (!lua_isnil(L, -2) && lua_isstring(L, -1)) push_report(L);
  const char *text = lua_tostring(L, -1);
  if (text) *(lua_isnil(L, -2) ? &o->app : &o->error) = xstrdup(text);
  lua_pop(L, 1);
  return 1;
}

int options_read(struct options *o, int argc, char **argv, int (*harness)(struct lua_State *)) {
  (void)argc;
  *o = (struct options){.settings = settings_default()};
  lua_State *L = luaL_newstate();
  if (!L) return EXIT_CONFIG;
  lua_pushcfunction(L, run_cli);
  lua_pushlightuserdata(L, o);
  lua_pushlightuserdata(L, argv);
  lua_pushcfunction(L, harness);
  int code = EXIT_CONFIG;
  if (lua_pcall(L, 3, 1, 0) != LUA_OK) o->error = vm_take_message(L);
  else code = lua_isnil(L, -1) ? -1 : (int)lua_tointeger(L, -1);
  lua_close(L);
  return code;
}

void options_deinit(struct options *o) {
  listen_free(&o->listen);
  free(o->app);
  free(o->admin_token);
  free(o->error);
}
