// SPDX-License-Identifier: MIT
// System calls that fail, for a function of a spec: it runs on a thread of its own, while the spec's waits.
#include <errno.h>
#include <fcntl.h>
#include <lauxlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include "base/util.h"
#include "harness/harness.h"
#include "harness/refusal.h"

// Parts of calls.
enum { ADDING = -2, TEMPORARY = -3, OF_PATH = -4 };

struct named {
  const char *name;
  int number;
};

static const struct named calls[] = {{"accept4", __NR_accept4},
                                     {"bind", __NR_bind},
                                     {"clone", __NR_clone},
                                     {"epoll_ctl", __NR_epoll_ctl},
                                     {"epoll_ctl of EPOLL_CTL_ADD", ADDING},
                                     {"epoll_wait", __NR_epoll_wait},
                                     {"eventfd", __NR_eventfd2},
                                     {"fcntl", __NR_fcntl},
                                     {"io_uring_setup", __NR_io_uring_setup},
                                     {"io_uring_enter", __NR_io_uring_enter},
                                     {"socketpair", __NR_socketpair},
                                     {"listen", __NR_listen},
                                     {"openat2", __NR_openat2},
                                     {"openat", __NR_openat},
                                     {"openat of O_TMPFILE", TEMPORARY},
                                     {"stat", OF_PATH},
                                     {"prlimit", __NR_prlimit64},
                                     {"pread", __NR_pread64},
                                     {"pwrite", __NR_pwrite64},
                                     {"write", __NR_write},
                                     {"sendfile", __NR_sendfile},
                                     {"setsockopt", __NR_setsockopt},
                                     {"signalfd", __NR_signalfd4},
                                     {"socket", __NR_socket},
                                     {"recvfrom", __NR_recvfrom},
                                     {"sendto", __NR_sendto},
                                     {"sendmsg", __NR_sendmsg},
                                     {"getsockname", __NR_getsockname}};
static const struct named errors[] = {
    {"EAGAIN", EAGAIN},        {"EINTR", EINTR},   {"ECONNABORTED", ECONNABORTED},
    {"EPROTO", EPROTO},        {"ENFILE", ENFILE}, {"EMFILE", EMFILE},
    {"ENOBUFS", ENOBUFS},      {"ENOMEM", ENOMEM}, {"EPERM", EPERM},
    {"EACCES", EACCES},        {"EIO", EIO},       {"EINVAL", EINVAL},
    {"ENOSYS", ENOSYS},        {"ENOSPC", ENOSPC}, {"ENOENT", ENOENT},
    {"EOPNOTSUPP", EOPNOTSUPP}};

static int find(lua_State *L, int index, const struct named *list, size_t count) {
  const char *name = luaL_checkstring(L, index);
  for (size_t i = 0; i < count; i++)
    if (!strcmp(list[i].name, name)) return list[i].number;
  return luaL_error(L, "nothing is known of '%s'", name);
}

// pcall(fn), as no error may leave the thread.
static void run_spec(void *L) { lua_call(L, 1, LUA_MULTRET); }

// harness.refused(call, error, fn): what fn() returns where that system call fails; raises what it raises.
static int run_refused(lua_State *L) {
  int call = find(L, 1, calls, countof(calls)), error = find(L, 2, errors, countof(errors));
  struct refused what = {.call = call, .other = -1};
  if (call == OF_PATH) what = (struct refused){__NR_newfstatat, -1, 0, ~0u, (unsigned)AT_FDCWD};
  if (call == TEMPORARY) what = (struct refused){__NR_openat, -1, 2, O_TMPFILE, O_TMPFILE};
  if (call == ADDING) what = (struct refused){__NR_epoll_ctl, -1, 1, ~0u, EPOLL_CTL_ADD};
  lua_settop(L, 3);
  lua_getglobal(L, "pcall");
  lua_insert(L, 3);
  if (refusal_run(what, error, run_spec, L) < 0) return luaL_error(L, "no filter of system calls");
  return lua_toboolean(L, 3) ? lua_gettop(L) - 3 : lua_error(L);
}

void refusal_open(lua_State *L) {
  lua_pushcfunction(L, run_refused);
  lua_setfield(L, -2, "refused");
}
