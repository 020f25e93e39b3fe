// SPDX-License-Identifier: MIT
// A filter of system calls is a thread's, for ever, so it has one of its own.
#include "harness/refusal.h"
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include "base/util.h"

struct refusal {
  struct refused what;
  int error;
  void (*fn)(void *arg);
  void *arg;
};

// What a thread has used of these is freed where the next one begins, and is to be the same for whoever
// counts.
static _Thread_local volatile bool has_variables;

static void *refusal_main(void *arg) {
  struct refusal *r = arg;
  has_variables = true;
  struct sock_filter filter[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)r->what.other, 4, 0),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)r->what.call, 0, 4),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
               (unsigned)offsetof(struct seccomp_data, args[0]) + 8 * r->what.argument),
      BPF_STMT(BPF_ALU | BPF_AND | BPF_K, r->what.mask),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, r->what.value, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (unsigned)r->error),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
  struct sock_fprog program = {countof(filter), filter};
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program))
    return r;
  r->fn(r->arg);
  return NULL;
}

int refusal_run(struct refused what, int error, void (*fn)(void *arg), void *arg) {
  struct refusal r = {what, error, fn, arg};
  pthread_t thread;
  void *failed = &r;
  if (pthread_create(&thread, NULL, refusal_main, &r) == 0) pthread_join(thread, &failed);
  return failed ? -1 : 0;
}
