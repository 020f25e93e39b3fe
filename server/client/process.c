// SPDX-License-Identifier: MIT
// The leader is known by its pidfd. It is reaped once it is a zombie: the rest of its group is told to end
// before that, while its number cannot be another's. Whether there is such a rest is known after it: the
// number of a group with members is not used again, and it is asked for so often that it cannot be used again
// in between. What the group has written by its end is read to its end; a program that has left the group and
// keeps the pipe open is not waited for.
#include "client/process.h"
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "base/log.h"
#include "base/mem.h"
#include "serve/service.h"

static const double LINGER_SECONDS = 0.1; // between two looks for the rest of a group

static struct groups *groups_of(const struct process *p) { return p->all->service->process->groups; }

static void process_tell(struct process *p) {
  if (p->user) p->user->on_news(p->user);
}

// Frees what nobody needs any more.
static void settle(struct process *p) {
  if (p->state != PROCESS_OVER || p->user) return;
  list_remove(&p->link);
  output_deinit(&p->output);
  output_deinit(&p->errors);
  free(p->name);
  free(p);
}

static void on_output(struct output *o) { process_tell(container_of(o, struct process, output)); }

static void on_errors(struct output *o) { process_tell(container_of(o, struct process, errors)); }

static void on_input(struct input *i) { process_tell(container_of(i, struct process, input)); }

static void log_line(struct output *o, struct span text) {
  const struct process *p = container_of(o, struct process, errors);
  struct log_line line;
  if (!log_is_on(LOG_INFO)) return;
  log_begin(&line, LOG_INFO, clock_wall(p->all->service->loop->clock), text);
  log_field(&line, SPAN("program"), span_of(p->name));
  log_number(&line, SPAN("pid"), p->group.id);
  log_end(&line);
}

static const struct output_ops output_ops = {.on_news = on_output},
                               errors_ops = {.on_news = on_errors, .on_line = log_line};

// Of a group whose leader has been reaped. Where orphans become this process's children, as they do of the
// first process in a container, those of the group are its to reap.
static bool group_is_gone(const struct process *p) {
  while (waitpid(-p->group.id, NULL, WNOHANG) > 0) continue;
  return kill(-p->group.id, 0) < 0 && errno == ESRCH;
}

// The rest of the group is gone, or is killed.
static void finish(struct process *p) {
  struct loop *loop = p->all->service->loop;
  loop_disarm(loop, &p->timer);
  p->state = PROCESS_OVER;
  counter_add(&p->all->service->counters.processes, -1);
  groups_leave(groups_of(p));
  output_finish(&p->output);
  output_finish(&p->errors);
}

// Looks for the rest of a group whose leader has been reaped.
static void linger(struct process *p) {
  struct loop *loop = p->all->service->loop;
  bool is_gone = group_is_gone(p), is_late = loop->now >= p->kill_at;
  if (is_gone || is_late) {
    if (!is_gone) kill(-p->group.id, SIGKILL);
    finish(p);
  } else loop_arm(loop, &p->timer, MIN(p->kill_at, loop->now + LINGER_SECONDS));
}

static void set_kill_at(struct process *p) {
  const struct service *s = p->all->service;
  if (isinf(p->kill_at)) p->kill_at = s->loop->now + s->settings->timeouts.kill;
}

// One that is stopped does not notice a signal before it goes on.
static void tell_to_end(const struct process *p) {
  kill(-p->group.id, SIGTERM);
  kill(-p->group.id, SIGCONT);
}

// The leader is a zombie: its status, and the end of what it was.
static void reap(struct process *p) {
  siginfo_t info = {0};
  watch_stop(&p->exit);
  groups_remove(groups_of(p), &p->group);
  tell_to_end(p);
  bool is_known = waitid(P_PIDFD, (id_t)p->pidfd, &info, WEXITED | WNOHANG) == 0;
  bool has_exited = is_known && info.si_code == CLD_EXITED;
  p->code = has_exited ? info.si_status : -1;
  p->signal = is_known && !has_exited ? info.si_status : 0;
  close_pidfd(p->pidfd);
  p->pidfd = -1;
  input_close(&p->input);
  set_kill_at(p);
  p->state = PROCESS_LINGERING;
  linger(p);
}

// A pidfd is readable once its process has ended.
static void on_ended(struct watch *w, unsigned events) {
  (void)events;
  struct process *p = container_of(w, struct process, exit);
  reap(p);
  process_tell(p);
  settle(p);
}

static void on_timer(struct timer *t) {
  struct process *p = container_of(t, struct process, timer);
  if (p->state == PROCESS_RUNNING) {
    process_signal(p, SIGKILL);
    return;
  }
  linger(p);
  process_tell(p);
  settle(p);
}

static int close_pair(int pair[2]) {
  for (int i = 0; i < 2; i++)
    if (pair[i] >= 0) close(pair[i]);
  return -1;
}

// A pipe of which this process's end does not block. Both ends are above the standard descriptors, which the
// server keeps open.
static int open_pipe(int pair[2], int ours) {
  if (pipe2(pair, O_CLOEXEC) < 0) return -1;
  return fcntl(pair[ours], F_SETFL, O_NONBLOCK) < 0 ? close_pair(pair) : 0;
}

struct pipes {
  int in[2], out[2], err[2];
};

static int open_pipes(struct pipes *p, const struct process_config *config) {
  *p = (struct pipes){{-1, -1}, {-1, -1}, {-1, -1}};
  if (config->has_stdin && open_pipe(p->in, 1) < 0) return -1;
  if (open_pipe(p->out, 0) < 0) return -1;
  return config->errors == PROCESS_ERRORS_MERGED ? 0 : open_pipe(p->err, 0);
}

static void close_pipes(struct pipes *p) {
  close_pair(p->in);
  close_pair(p->out);
  close_pair(p->err);
}

static void close_far_ends(const struct pipes *p) {
  if (p->in[0] >= 0) close(p->in[0]);
  close(p->out[1]);
  if (p->err[1] >= 0) close(p->err[1]);
}

static char *name_of(const char *path) {
  const char *slash = strrchr(path, '/');
  return xstrdup(slash && slash[1] ? slash + 1 : path);
}

static struct process *process_new(struct processes *all, const struct process_config *config,
                                   const struct pipes *pipes, pid_t pid, int pidfd) {
  struct loop *loop = all->service->loop;
  struct process *p = xcalloc(1, sizeof *p);
  *p = (struct process){.all = all,
                        .group = {.id = pid},
                        .name = name_of(config->argv[0]),
                        .pidfd = pidfd,
                        .owner = config->owner,
                        .kill_at = INFINITY,
                        .timer = {.on_fire = on_timer},
                        .exit = {.on_ready = on_ended}};
  list_init(&p->link);
  list_init(&p->group.link);
  list_append(&all->all, &p->link);
  groups_add(groups_of(p), &p->group);
  if (pipes->in[1] >= 0) input_open(&p->input, loop, pipes->in[1], on_input);
  else input_init_closed(&p->input);
  output_open(&p->output, loop, pipes->out[0], OUTPUT_ASKED, &output_ops);
  if (pipes->err[0] < 0) output_init_over(&p->errors);
  else
    output_open(&p->errors, loop, pipes->err[0],
                config->errors == PROCESS_ERRORS_LOGGED ? OUTPUT_LINES : OUTPUT_ASKED, &errors_ops);
  watch_start(&p->exit, loop, pidfd, WATCH_READ);
  return p;
}

static struct process *start(struct processes *all, const struct process_config *config, const char **code,
                             char *why) {
  struct pipes pipes;
  pid_t pid;
  int pidfd;
  if (open_pipes(&pipes, config) < 0) {
    close_pipes(&pipes);
    snprintf(why, SPAWN_WHY_MAX, "no descriptors for its pipes: %s", strerror(errno));
    return *code = "limit", NULL;
  }
  struct spawn s = {.argv = config->argv,
                    .envp = config->envp,
                    .cwd = config->cwd,
                    .in = pipes.in[0],
                    .out = pipes.out[1],
                    .err = pipes.err[1] >= 0 ? pipes.err[1] : pipes.out[1]};
  *code = spawn_program(&s, &pid, &pidfd, why);
  if (*code) return close_pipes(&pipes), NULL;
  close_far_ends(&pipes);
  return process_new(all, config, &pipes, pid, pidfd);
}

struct process *process_spawn(struct processes *all, const struct process_config *config,
                              struct process_user *user, const char **code, char why[SPAWN_WHY_MAX]) {
  struct service *s = all->service;
  struct groups *groups = s->process->groups;
  struct process *p = NULL;
  bool has_place = groups_enter(groups, s->settings->limits.processes);
  if (has_place) p = start(all, config, code, why);
  else {
    *code = "limit";
    snprintf(why, SPAWN_WHY_MAX, "more than %zu programs at a time (limits.processes)",
             s->settings->limits.processes);
  }
  counter_add(p ? &s->counters.processes_total : &s->counters.processes_refused_total, 1);
  if (p) p->user = user, counter_add(&s->counters.processes, 1);
  else if (has_place) groups_leave(groups);
  return p;
}

int process_signal(struct process *p, int signal) {
  if (p->state != PROCESS_RUNNING) return errno = ESRCH, -1;
  return kill(-p->group.id, signal);
}

// Neither is its input written nor its output kept any more, but what goes to the log.
static void drop_ends(struct process *p) {
  input_close(&p->input);
  output_set_mode(&p->output, OUTPUT_DROPPED, 0);
  if (p->errors.mode != OUTPUT_LINES) output_set_mode(&p->errors, OUTPUT_DROPPED, 0);
}

void process_end(struct process *p) {
  drop_ends(p);
  if (p->state != PROCESS_RUNNING || !isinf(p->kill_at)) return;
  tell_to_end(p);
  set_kill_at(p);
  loop_arm(p->all->service->loop, &p->timer, p->kill_at);
}

void processes_end_of(struct processes *all, const void *owner) {
  list_each (node, &all->all) {
    struct process *p = container_of(node, struct process, link);
    if (p->owner == owner) process_end(p);
  }
}

void process_release(struct process *p) {
  p->user = NULL;
  drop_ends(p);
  settle(p);
}

void processes_init(struct processes *all, struct service *service) {
  *all = (struct processes){.service = service};
  list_init(&all->all);
}

// Lets them end for so long; false where some have not.
static bool await_all(struct processes *all, double seconds) {
  const struct timespec pause = {.tv_nsec = 2000000};
  for (double until = clock_now(clock_system()) + seconds; !list_empty(&all->all); nanosleep(&pause, NULL)) {
    list_each (node, &all->all) {
      struct process *p = container_of(node, struct process, link);
      siginfo_t info = {0};
      bool is_zombie = p->state == PROCESS_RUNNING &&
                       waitid(P_PIDFD, (id_t)p->pidfd, &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
                       info.si_pid;
      if (is_zombie) reap(p);
      else if (p->state == PROCESS_LINGERING) linger(p);
      settle(p);
    }
    if (clock_now(clock_system()) > until) return false;
  }
  return true;
}

// Whoever has them has released them. A group that is left over after that cannot be killed.
void processes_deinit(struct processes *all, double seconds) {
  list_each (node, &all->all) process_end(container_of(node, struct process, link));
  if (await_all(all, seconds)) return;
  list_each (node, &all->all) {
    struct process *p = container_of(node, struct process, link);
    p->kill_at = -INFINITY;
    process_signal(p, SIGKILL);
  }
  await_all(all, 1);
  while (!list_empty(&all->all)) {
    struct process *p = container_of(all->all.next, struct process, link);
    loop_disarm(all->service->loop, &p->timer);
    watch_stop(&p->exit);
    groups_remove(groups_of(p), &p->group);
    if (p->state != PROCESS_OVER) finish(p);
    if (p->pidfd >= 0) close_pidfd(p->pidfd);
    settle(p);
  }
}
