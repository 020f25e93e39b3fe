// SPDX-License-Identifier: MIT
// The ways into those bindings that have no other: each fills a table, and is called once for a state.
#pragma once
#include <lua.h>
#include <stddef.h>

// lua_globals.c: Lua's own functions where the server needs others in their place.
// Replaces them in a state with Lua's libraries.
void globals_open(lua_State *L);

// lua_time.c: os.time and os.date by the loop's clock, so that they agree with everything else that knows the
// time. Replaces both in the table `os` on top of the stack.
void time_open(lua_State *L);

// lua_log.c: spate.log and print.
// Pushes the table {debug, info, warn, error}, each (message [, fields]).
void log_open(lua_State *L);

// lua_survey.c: what all workers are asked.
// Adds list_streams, ask_alive, survey, list_channels, log_lines, process_figures, is_draining, is_loading,
// store_state and admin_settings to the table on top of the stack.
void survey_open(lua_State *L);

// lua_metrics.c: what is counted, as text, and what an application counts.
// Adds metrics_text, metric, metric_add and metric_set to the table on top of the stack.
void metrics_open(lua_State *L);

// lua_kick.c: the ends of streams from elsewhere.
// Adds tag, kick and kick_self to the table on top of the stack.
void kick_open(lua_State *L);

// print, through the log's writer: a terminal that stands still does not hold the server up.
int lua_print(lua_State *L);

// lua_json.c: the table `json`.
// Pushes the module's table. `depth_max` limits the nesting both ways.
void json_open(lua_State *L, size_t depth_max);

// lua_task.c: waiting and spawning as the library sees them.
// Adds sleep, sleep_until, now, wall, spawn, cancel, wrap, signal to the table on top of the stack.
void task_open(lua_State *L);

// lua_channel.c: channels for the library.
// Puts the functions for channels and subscriptions into the table on top of the stack and registers their
// metatables.
void channel_open(lua_State *L);

// lua_inflate.c: what is compressed, for the library.
// Adds inflater and inflate to the table on top of the stack.
void inflate_open(lua_State *L);

// lua_fs.c: files for spate.fs, off the loop.
// Adds file_call, tail_open and changes_open, and what goes with these, to the table on top of the stack.
void fs_open(lua_State *L);

// lua_file_pieces.c: files that are sent to other servers, off the loop.
// Adds file_open, file_next and file_close to the table on top of the stack.
void file_pieces_open(lua_State *L);

// lua_form.c: what req:form() is made of.
// Puts the functions for forms into the table on top of the stack.
void form_open(lua_State *L);

// lua_file.c: files for the library. Each is open from the moment a reply is made of it, so that a missing
// one is known in time, to the end of its answer; one that no answer takes is closed with the request.
// Sets in the table on top of the stack:
//   open_root(dir)      a folder to serve from; or nil and why not
//   open_file(path [, root [, dotfiles]])
//                       a file; or nil and "missing", "directory", "forbidden" or "busy"
//   answer_file(req, status, type, file [, fields])
//                       answers with it; false where it has been sent already
//   file_text(file, max)
//                       its content; nil where that is longer or it was sent already
void file_functions_open(lua_State *L);

// lua_shared.c: spate.shared(name), the process's dictionaries.
// Puts `shared` into the table on top of the stack.
void lua_shared_open(lua_State *L);

// lua_crypto.c: what spate.crypto and the library's middleware need of cryptography.
// Adds to the table on top of the stack:
//   hash(name, text)        the digest, of md5, sha1, sha256, ...
//   hmac(name, key, text)   HMAC with that digest
//   random(n)               so many random bytes
//   equal(a, b)             whether two strings are the same, in a time that does not tell where they differ
//   base64(bytes, url, padded), base64_decode(text, url, padded), hex(bytes), hex_decode(text)
//                           RFC 4648; nil for what is not exactly that
//   jwt_key(alg, text)      a key for tokens; nil and what makes the text useless as one
//   jwt_verify(key, token)  whether the token (RFC 7519) is signed so
//   network(address)        an IPv6 address's first 64 bits, which one client has to itself; others as they
//   are
void crypto_open(lua_State *L);

// lua_password.c: hashes of passwords.
// Adds password_hash and password_verify to the table on top of the stack.
void password_open(lua_State *L);

// lua_wait_fd.c: descriptors of others.
// Adds wait_fd to the table on top of the stack.
void wait_fd_open(lua_State *L);

// lua_terminal.c: the terminal, for the program's own commands.
// Adds terminal_take and terminal_give_back to the table on top of the stack.
void lua_terminal_open(lua_State *L);

// lua_sqlite.c: SQLite for spate.sqlite, off the loop.
// Adds sqlite_open and sqlite_blob to the table on top of the stack.
void lua_sqlite_open(lua_State *L);

// lua_postgres.c: PostgreSQL for spate.postgres, on the loop.
// Adds postgres_open to the table on top of the stack.
void lua_postgres_open(lua_State *L);

// lua_redis.c: Redis for spate.redis.
// Adds redis_open to the table on top of the stack.
void lua_redis_open(lua_State *L);

// lua_offload.c: functions of modules on other threads.
// Adds offload to the table on top of the stack.
void offload_open(lua_State *L);
