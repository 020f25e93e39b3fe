// SPDX-License-Identifier: MIT
// The kernel packs records of different length into what it is given room for. Reads until there is no more,
// so that the descriptor is quiet afterwards.
#include "base/notices.h"
#include <sys/inotify.h>
#include <unistd.h>

bool notices_take(int fd, void (*fn)(void *arg, const struct notice *n), void *arg) {
  char bytes[16 << 10] __attribute__((aligned(__alignof__(struct inotify_event))));
  bool any = false;
  for (ssize_t len; (len = read(fd, bytes, sizeof bytes)) > 0; any = true)
    for (const char *at = bytes; fn && at < bytes + len;) {
      const struct inotify_event *e = (const struct inotify_event *)(const void *)at;
      at += sizeof *e + e->len;
      fn(arg, &(struct notice){.watch = e->wd, .what = e->mask, .name = e->len ? e->name : ""});
    }
  return any;
}
