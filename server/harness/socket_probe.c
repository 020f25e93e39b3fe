// SPDX-License-Identifier: MIT
// A transport over a socket whose far end a spec holds, and a listener, in one loop that polls without
// sleeping. What they are told is a log of words, which a turn returns.
#include "harness/harness.h"
#include <errno.h>
#include <fcntl.h>
#include <lauxlib.h>
#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include "base/buf.h"
#include "base/log.h"
#include "base/mem.h"
#include "loop/batch.h"
#include "loop/sock.h"
#include "loop/transport.h"
#include "script/class.h"

// The kernel would keep the more the faster it goes, and a spec is to know what is too much.
enum { KERNEL_KEEPS = 100000 };

static const char SOCKET[] = "spate.harness.socket";

struct socket_probe {
  struct manual_clock clock;
  struct loop loop;
  struct loop_hook hook;
  bool polled, is_open, is_batched;
  struct transport *transport; // NULL: closed
  int near_fd, far_fd, file_fd, listening;
  int kept; // one that there was no descriptor for; -1: none, -2: it is closed at once
  struct listener listener;
  char *given; // what the transport has, in flight perhaps
  bool sends;  // in a batch: what that has come to is `left`
  ssize_t left;
  struct buf log;
};

static struct socket_probe *check(lua_State *L) { return luaL_checkudata(L, 1, SOCKET); }

static struct socket_probe *check_open(lua_State *L) {
  struct socket_probe *p = check(L);
  if (!p->transport) luaL_error(L, "the transport is closed");
  return p;
}

static void on_open(struct transport *t) { buf_printf(&((struct socket_probe *)t->owner)->log, "open "); }

static void on_bytes(struct transport *t, struct span bytes) {
  struct buf *log = &((struct socket_probe *)t->owner)->log;
  if (bytes.len > 100) buf_printf(log, "bytes:%zu ", bytes.len);
  else buf_printf(log, "bytes:" SPAN_FMT " ", SPAN_ARG(bytes));
}

static void on_sent(struct transport *t, size_t len) {
  struct socket_probe *p = t->owner;
  if (p->sends) p->left = (ssize_t)len;
  else buf_printf(&p->log, "sent:%zu ", len);
}

static void probe_shut(struct socket_probe *p, bool reset) {
  if (p->transport) p->transport->ops->close(p->transport, reset);
  p->transport = NULL;
}

static void on_end(struct transport *t) {
  struct socket_probe *p = t->owner;
  buf_printf(&p->log, "end ");
  t->ops->want_read(t, 0);
}

static void on_error(struct transport *t, enum transport_error why) {
  struct socket_probe *p = t->owner;
  if (p->sends) p->left = why;
  else buf_printf(&p->log, "error:%d ", (int)why);
  if (!p->sends) probe_shut(p, false);
}

static void on_line(void *owner, const char *line, size_t len) {
  (void)line, (void)len;
  buf_printf(&((struct socket_probe *)owner)->log, "warn ");
}

static const struct transport_sink sink = {
    .on_open = on_open, .on_bytes = on_bytes, .on_sent = on_sent, .on_end = on_end, .on_error = on_error};

// The first run is before the poll, the second after it.
static bool end_turn(struct loop_hook *h) {
  struct socket_probe *p = container_of(h, struct socket_probe, hook);
  if (p->polled) loop_stop(&p->loop);
  p->polled = true;
  return true;
}

// socket:turn([seconds later]): what was told.
static int probe_turn(lua_State *L) {
  struct socket_probe *p = check(L);
  p->clock.now += luaL_optnumber(L, 2, 0);
  p->polled = false;
  loop_run(&p->loop);
  lua_pushlstring(L, p->log.bytes ? p->log.bytes : "", p->log.len ? p->log.len - 1 : 0);
  buf_deinit(&p->log);
  return 1;
}

// Alone in a batch, where the socket is for that.
static ssize_t send_out(struct socket_probe *p, const struct outq *q) {
  if (!p->is_batched) return p->transport->ops->send(p->transport, q);
  batch_open(p->loop.batch, p->clock.now);
  p->sends = true;
  p->left = p->transport->ops->send(p->transport, q);
  bool is_queued = p->transport->is_queued, has_left = p->left != 0;
  batch_close(p->loop.batch, p->clock.now);
  p->sends = false;
  if (is_queued != (q->count > 0) || (is_queued && has_left) || p->transport->is_queued) return INT_MIN;
  return p->left;
}

// socket:send(piece, ...): how much has left at once, or an error's number.
static int probe_send(lua_State *L) {
  struct socket_probe *p = check_open(L);
  struct outq q = {.count = lua_gettop(L) - 1};
  size_t len;
  for (int i = 0; i < q.count; i++) luaL_checklstring(L, i + 2, &len), q.len += len;
  free(p->given);
  char *at = p->given = xmalloc(q.len + 1);
  for (int i = 0; i < q.count; i++) {
    const char *piece = lua_tolstring(L, i + 2, &len);
    q.iov[i] = (struct iovec){memcpy(at, piece, len), len};
    at += len;
  }
  lua_pushinteger(L, send_out(p, &q));
  return 1;
}

// socket:send_and_shut(bytes): closes the transport before the batch that they are in.
static int probe_send_and_shut(lua_State *L) {
  struct socket_probe *p = check_open(L);
  struct outq q = {.count = 1};
  q.iov[0].iov_base = (void *)luaL_checklstring(L, 2, &q.len), q.iov[0].iov_len = q.len;
  batch_open(p->loop.batch, p->clock.now);
  p->transport->ops->send(p->transport, &q);
  probe_shut(p, false);
  batch_close(p->loop.batch, p->clock.now);
  return 0;
}

// socket:told(): how many watches were in the turn before; socket:takes_files().
static int probe_told(lua_State *L) {
  lua_pushinteger(L, check(L)->loop.told);
  return 1;
}

static int probe_takes_files(lua_State *L) {
  lua_pushboolean(L, check_open(L)->transport->takes_files);
  return 1;
}

// socket:send_file(path, offset, len): likewise.
static int probe_send_file(lua_State *L) {
  struct socket_probe *p = check_open(L);
  struct outq q = {.offset = (uint64_t)luaL_checkinteger(L, 3), .len = (size_t)luaL_checkinteger(L, 4)};
  if (p->file_fd >= 0) close(p->file_fd);
  q.fd = p->file_fd = open(luaL_checkstring(L, 2), O_RDONLY | O_CLOEXEC);
  lua_pushinteger(L, send_out(p, &q));
  return 1;
}

static int probe_want_read(lua_State *L) {
  struct socket_probe *p = check_open(L);
  p->transport->ops->want_read(p->transport, (size_t)luaL_checkinteger(L, 2));
  return 0;
}

static int probe_read_now(lua_State *L) {
  struct socket_probe *p = check_open(L);
  lua_pushboolean(L, p->transport->ops->read_now(p->transport));
  return 1;
}

static int probe_finish(lua_State *L) {
  struct socket_probe *p = check_open(L);
  p->transport->ops->end(p->transport);
  return 0;
}

// socket:shut([reset]): closes the transport.
static int probe_shut_it(lua_State *L) {
  probe_shut(check_open(L), lua_toboolean(L, 2));
  return 0;
}

// socket:bound(bytes [, is_http2]).
static int probe_bound(lua_State *L) {
  struct socket_probe *p = check_open(L);
  p->transport->protocol = lua_toboolean(L, 3) ? PROTOCOL_HTTP2 : PROTOCOL_HTTP1;
  p->transport->ops->bound(p->transport, (size_t)luaL_checkinteger(L, 2));
  return 0;
}

static int probe_peer(lua_State *L) {
  char text[ADDRESS_TEXT_MAX];
  lua_pushlstring(L, text, address_text(&check_open(L)->transport->peer, text));
  return 1;
}

// socket:far_take([max]): what has come at the far end; and "open", "end" or what is wrong.
static int far_take(lua_State *L) {
  struct socket_probe *p = check(L);
  size_t left = (size_t)luaL_optinteger(L, 2, 64 << 20);
  struct buf *all = push_buf(L);
  ssize_t n = 1;
  while (left && (n = recv(p->far_fd, buf_reserve(all, 65536), MIN(left, (size_t)65536), 0)) > 0)
    all->len += (size_t)n, left -= (size_t)n;
  push_span(L, buf_span(all));
  lua_pushstring(L, !n                         ? "end"
                    : n > 0 || errno == EAGAIN ? "open"
                    : errno == ECONNRESET      ? "reset"
                                               : "broken");
  return 2;
}

static int far_send(lua_State *L) {
  size_t len;
  const char *bytes = luaL_checklstring(L, 2, &len);
  lua_pushinteger(L, send(check(L)->far_fd, bytes, len, MSG_NOSIGNAL));
  return 1;
}

// socket:far_close(): or, with "send", the side that it sends by.
static int far_close(lua_State *L) {
  struct socket_probe *p = check(L);
  if (lua_gettop(L) > 1) return shutdown(p->far_fd, SHUT_WR), 0;
  close(p->far_fd);
  p->far_fd = -1;
  return 0;
}

static int option_of(int fd, int level, int name) {
  int value = -1;
  socklen_t len = sizeof value;
  getsockopt(fd, level, name, &value, &len);
  return value;
}

static bool is_ours_and_never_blocks(int fd) {
  return fcntl(fd, F_GETFD) & FD_CLOEXEC && fcntl(fd, F_GETFL) & O_NONBLOCK;
}

// socket:unsent(): bytes that may wait unsent in the kernel before it takes no more; of TCP.
static int probe_unsent(lua_State *L) {
  lua_pushinteger(L, option_of(check_open(L)->near_fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT));
  return 1;
}

// socket:buffer(): bytes that the kernel keeps for what is sent, as it counts them.
static int probe_buffer(lua_State *L) {
  lua_pushinteger(L, option_of(check_open(L)->near_fd, SOL_SOCKET, SO_SNDBUF));
  return 1;
}

static void on_accept(struct listener *l, int fd) {
  struct socket_probe *p = container_of(l, struct socket_probe, listener);
  char text[ADDRESS_TEXT_MAX];
  struct address peer = sock_peer(fd);
  text[address_text(&peer, text)] = 0;
  buf_printf(&p->log, "accept:%s,%d ", text, option_of(fd, IPPROTO_TCP, TCP_NODELAY));
  if (!is_ours_and_never_blocks(fd)) buf_printf(&p->log, "inherited ");
  close(fd);
}

static void on_full(struct listener *l, int fd) {
  struct socket_probe *p = container_of(l, struct socket_probe, listener);
  buf_printf(&p->log, "full%s ", is_ours_and_never_blocks(fd) ? "" : " inherited");
  if (p->kept == -1) p->kept = fd;
  else close(fd);
}

static void stop_listening(struct socket_probe *p) {
  if (p->listening < 0) return;
  listener_stop(&p->listener);
  close(p->listening);
  p->listening = -1;
}

// socket:listen(address [, share]): the name of what listens now, its descriptor, whether that is no
// program's that we start and never blocks; nil, what is wrong.
static int probe_listen(lua_State *L) {
  struct socket_probe *p = check(L);
  char error[SOCK_ERROR_MAX], name[SOCK_NAME_MAX];
  int fd = sock_listen(luaL_checkstring(L, 2), lua_toboolean(L, 3), error);
  if (fd < 0) {
    lua_pushnil(L);
    lua_pushfstring(L, "%s%s", error, errno == EINVAL ? "" : " (of the system)");
    return 2;
  }
  stop_listening(p);
  p->listening = fd;
  p->listener = (struct listener){.on_accept = on_accept, .on_full = on_full};
  listener_start(&p->listener, &p->loop, fd);
  sock_name(fd, name);
  lua_pushstring(L, name);
  lua_pushinteger(L, fd);
  lua_pushboolean(L, is_ours_and_never_blocks(fd));
  return 3;
}

// socket:dial([n [, last]]): connects so often to what listens; how often that went well. The clients leave
// at once, or where they do so last once they have been accepted and closed.
static int probe_dial(lua_State *L) {
  struct socket_probe *p = check(L);
  struct sockaddr_storage a = {0};
  socklen_t len = sizeof a;
  int done = 0;
  getsockname(p->listening, (void *)&a, &len);
  for (lua_Integer n = luaL_optinteger(L, 2, 1); n > 0; n--) {
    int fd = socket(a.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    done += fd >= 0 && connect(fd, (void *)&a, len) == 0;
    if (lua_toboolean(L, 3)) listener_empty(&p->listener);
    close(fd);
  }
  lua_pushinteger(L, done);
  return 1;
}

// socket:keep(true): the next that there is no descriptor for keeps the one that it gets, until
// socket:keep(false).
static int probe_keep(lua_State *L) {
  struct socket_probe *p = check(L);
  if (p->kept >= 0) close(p->kept);
  p->kept = lua_toboolean(L, 2) ? -1 : -2;
  return 0;
}

// socket:spoil(): nothing can be accepted any more. socket:rests(): whether the listener does.
static int probe_spoil(lua_State *L) { return shutdown(check(L)->listening, SHUT_RDWR), 0; }

static int probe_rests(lua_State *L) {
  lua_pushboolean(L, timer_is_armed(&check(L)->listener.pause));
  return 1;
}

// socket:bind(): a descriptor with an address of TCP that does not listen, and blocks.
static int probe_bind(lua_State *L) {
  struct socket_probe *p = check(L);
  struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  if (p->file_fd >= 0) close(p->file_fd);
  p->file_fd = socket(AF_INET, SOCK_STREAM, 0);
  if (bind(p->file_fd, (void *)&a, sizeof a) < 0) return luaL_error(L, "no address");
  lua_pushinteger(L, p->file_fd);
  return 1;
}

// socket:accept_all(), and socket:deafen().
static int probe_accept_all(lua_State *L) { return listener_empty(&check(L)->listener), 0; }
static int probe_deafen(lua_State *L) { return stop_listening(check(L)), 0; }

// socket:send_timeout(seconds): the options that the far end has then.
static int probe_send_timeout(lua_State *L) {
  static const int names[] = {TCP_KEEPIDLE, TCP_KEEPINTVL, TCP_KEEPCNT, TCP_USER_TIMEOUT};
  int fd = check(L)->far_fd;
  sock_set_send_timeout(fd, luaL_checknumber(L, 2));
  lua_pushinteger(L, option_of(fd, SOL_SOCKET, SO_KEEPALIVE));
  for (size_t i = 0; i < countof(names); i++) lua_pushinteger(L, option_of(fd, IPPROTO_TCP, names[i]));
  return 5;
}

static int probe_close(lua_State *L) {
  struct socket_probe *p = check(L);
  if (!p->is_open) return 0;
  p->is_open = false;
  log_capture(NULL, NULL);
  probe_shut(p, false);
  stop_listening(p);
  if (p->far_fd >= 0) close(p->far_fd);
  if (p->file_fd >= 0) close(p->file_fd);
  if (p->kept >= 0) close(p->kept);
  loop_hook_remove(&p->loop, &p->hook);
  loop_deinit(&p->loop);
  buf_deinit(&p->log);
  free(p->given);
  return 0;
}

// Both ends of a connection over this machine's own TCP.
static int tcp_pair(int pair[2]) {
  char error[SOCK_ERROR_MAX];
  struct sockaddr_in a;
  socklen_t len = sizeof a;
  int listening = sock_listen("127.0.0.1:0", false, error);
  pair[0] = pair[1] = -1;
  if (listening < 0 || getsockname(listening, (void *)&a, &len) < 0) return -1;
  pair[1] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  setsockopt(pair[1], SOL_SOCKET, SO_RCVBUF, &(int){KERNEL_KEEPS}, sizeof(int));
  if (connect(pair[1], (void *)&a, len) == 0)
    pair[0] = accept4(listening, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
  fcntl(pair[1], F_SETFL, O_NONBLOCK);
  setsockopt(pair[1], IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int)); // what it sends comes at once
  close(listening);
  return pair[0] < 0 ? -1 : 0;
}

// harness.socket(["tcp" [, true]]): of the UNIX domain unless told; each send is a batch.
static int probe_new(lua_State *L) {
  bool is_tcp = !strcmp(luaL_optstring(L, 1, "unix"), "tcp");
  struct socket_probe *p = lua_newuserdatauv(L, sizeof *p, 0);
  int pair[2];
  *p = (struct socket_probe){
      .hook = {.run = end_turn}, .far_fd = -1, .file_fd = -1, .listening = -1, .kept = -2};
  luaL_setmetatable(L, SOCKET);
  manual_clock_init(&p->clock, 0);
  int failed =
      is_tcp ? tcp_pair(pair) : socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair);
  if (failed || loop_init(&p->loop, &p->clock.clock, true) < 0) return luaL_error(L, "no sockets");
  p->near_fd = pair[0], p->far_fd = pair[1], p->is_open = true;
  p->is_batched = lua_toboolean(L, 2);
  const char *why = p->is_batched ? loop_open_batch(&p->loop) : NULL;
  if (why) return luaL_error(L, "io_uring: %s", why);
  log_capture(on_line, p);
  setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &(int){KERNEL_KEEPS}, sizeof(int));
  list_init(&p->hook.link);
  loop_hook_add(&p->loop, &p->hook);
  p->transport = transport_socket_new(&p->loop, pair[0]);
  p->transport->sink = &sink, p->transport->owner = p;
  p->transport->ops->open(p->transport);
  return 1;
}

void socket_probe_open(lua_State *L) {
  static const luaL_Reg methods[] = {{"turn", probe_turn},
                                     {"send", probe_send},
                                     {"send_file", probe_send_file},
                                     {"send_and_shut", probe_send_and_shut},
                                     {"told", probe_told},
                                     {"takes_files", probe_takes_files},
                                     {"want_read", probe_want_read},
                                     {"read_now", probe_read_now},
                                     {"finish", probe_finish},
                                     {"shut", probe_shut_it},
                                     {"bound", probe_bound},
                                     {"unsent", probe_unsent},
                                     {"peer", probe_peer},
                                     {"far_take", far_take},
                                     {"far_send", far_send},
                                     {"far_close", far_close},
                                     {"listen", probe_listen},
                                     {"dial", probe_dial},
                                     {"accept_all", probe_accept_all},
                                     {"deafen", probe_deafen},
                                     {"keep", probe_keep},
                                     {"spoil", probe_spoil},
                                     {"rests", probe_rests},
                                     {"bind", probe_bind},
                                     {"send_timeout", probe_send_timeout},
                                     {"buffer", probe_buffer},
                                     {"close", probe_close},
                                     {NULL, NULL}};
  class_new(L, SOCKET, methods, probe_close);
  lua_pushcfunction(L, probe_new);
  lua_setfield(L, -2, "socket");
}
