// SPDX-License-Identifier: MIT
// Few clients, each with one line to say. Answers are small enough for a socket's buffer; one that does not
// take its own at once goes without.
#include "process/control_server.h"
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/log.h"
#include "base/mem.h"
#include "loop/watch.h"

enum { CLIENTS_MAX = 64, QUESTION_MAX = 32 };
static const unsigned UPGRADE = UINT_MAX;

struct control_client {
  struct list link;
  struct control_server *control;
  struct watch watch;
  char question[QUESTION_MAX];
  size_t len;
  unsigned waits_for; // a reload, or UPGRADE
};

static void free_client(struct control_client *k) {
  int fd = watch_fd(&k->watch);
  watch_stop(&k->watch);
  close(fd);
  list_remove(&k->link);
  k->control->client_count--;
  free(k);
}

// The first line is "ok" or "failed".
static void answer(struct control_client *k, bool ok, const char *text, size_t len) {
  struct buf out = {0};
  buf_printf(&out, ok ? "ok\n" : "failed\n");
  buf_append(&out, text, len);
  ssize_t n = send(watch_fd(&k->watch), out.bytes, out.len, MSG_NOSIGNAL | MSG_DONTWAIT);
  (void)n;
  buf_deinit(&out);
  free_client(k);
}

static void answer_status(struct control_client *k) {
  struct buf text = {0};
  k->control->ops->status(k->control, &text);
  answer(k, true, text.bytes, text.len);
  buf_deinit(&text);
}

static void act(struct control_client *k) {
  struct control_server *c = k->control;
  if (!strcmp(k->question, "reload")) {
    k->waits_for = c->ops->reload(c);
    if (!k->waits_for) answer(k, false, "the server is stopping\n", 23);
  } else if (!strcmp(k->question, "upgrade")) {
    const char *why = c->ops->upgrade(c);
    if (why) answer(k, false, why, strlen(why));
    else k->waits_for = UPGRADE;
  } else if (!strcmp(k->question, "stop")) {
    answer(k, true, "", 0);
    c->ops->stop(c);
  } else if (!strcmp(k->question, "status")) answer_status(k);
  else answer(k, false, "unknown command\n", 16);
}

static void on_ready(struct watch *w, unsigned events) {
  (void)events;
  struct control_client *k = container_of(w, struct control_client, watch);
  size_t room = sizeof k->question - 1 - k->len;
  ssize_t n = room ? read(watch_fd(w), k->question + k->len, room) : 0;
  if (n < 0 && (errno == EINTR || errno == EAGAIN)) return;
  if (n <= 0 || k->waits_for) {
    free_client(k);
    return;
  }
  k->len += (size_t)n;
  char *end = memchr(k->question, '\n', k->len);
  if (!end) return;
  *end = 0;
  act(k);
}

// The oldest that has not asked anything makes room: nobody keeps the others out by saying nothing.
static void clients_make_room(struct control_server *c) {
  list_each (node, &c->clients) {
    struct control_client *k = container_of(node, struct control_client, link);
    if (k->waits_for) continue;
    free_client(k);
    return;
  }
}

static void on_accept(struct listener *l, int fd) {
  struct control_server *c = container_of(l, struct control_server, listener);
  if (c->client_count >= CLIENTS_MAX) clients_make_room(c);
  if (c->client_count >= CLIENTS_MAX) {
    close(fd);
    return;
  }
  struct control_client *k = xcalloc(1, sizeof *k);
  k->control = c, k->watch.on_ready = on_ready;
  list_init(&k->link);
  list_append(&c->clients, &k->link);
  c->client_count++;
  watch_start(&k->watch, c->loop, fd, WATCH_READ);
}

void control_server_open(struct control_server *c, struct loop *loop, const struct control_server_ops *ops) {
  char address[CONTROL_PATH_MAX + 8], error[SOCK_ERROR_MAX];
  *c = (struct control_server){.ops = ops, .loop = loop, .fd = -1, .listener = {.on_accept = on_accept}};
  list_init(&c->clients);
  if (!control_path(getpid(), true, c->path)) {
    log_message(LOG_DEBUG,
                "no folder for a control socket: spate reload, stop and status do not reach this server");
    return;
  }
  unlink(c->path); // of a process that had this number before
  snprintf(address, sizeof address, "unix:%s", c->path);
  c->fd = sock_listen(address, false, error);
  if (c->fd < 0) log_message(LOG_DEBUG, "no control socket: %s", error);
  else chmod(c->path, 0600), listener_start(&c->listener, loop, c->fd);
}

static void answer_outcome(struct control_client *k, const char *error) {
  answer(k, !error, error ? error : "", error ? strlen(error) : 0);
}

void control_server_reloaded(struct control_server *c, unsigned number, const char *error) {
  list_each (node, &c->clients) {
    struct control_client *k = container_of(node, struct control_client, link);
    if (k->waits_for && k->waits_for <= number) answer_outcome(k, error);
  }
}

void control_server_upgraded(struct control_server *c, const char *error) {
  list_each (node, &c->clients) {
    struct control_client *k = container_of(node, struct control_client, link);
    if (k->waits_for == UPGRADE) answer_outcome(k, error);
  }
}

void control_server_close(struct control_server *c) {
  while (!list_empty(&c->clients)) free_client(container_of(c->clients.next, struct control_client, link));
  if (c->fd < 0) return;
  listener_stop(&c->listener);
  unlink(c->path);
  close(c->fd);
  c->fd = -1;
}
