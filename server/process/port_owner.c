// SPDX-License-Identifier: MIT
// The kernel's list of sockets has the inode of each; a process has links to the inodes of its descriptors.
#include "process/port_owner.h"
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LISTEN_STATE = 0x0A, PATH_LEN = 320 };

// The inode of a socket that listens at the port, 0 where the file has none.
static unsigned long inode_in(const char *path, unsigned port) {
  FILE *f = fopen(path, "re");
  char line[512];
  unsigned long found = 0;
  while (f && !found && fgets(line, sizeof line, f)) {
    unsigned local, state;
    unsigned long inode;
    if (sscanf(line, "%*d: %*[0-9A-Fa-f]:%x %*[0-9A-Fa-f]:%*x %x %*s %*s %*s %*s %*s %lu", &local, &state,
               &inode) == 3 &&
        local == port && state == LISTEN_STATE)
      found = inode;
  }
  if (f) fclose(f);
  return found;
}

// True when one of the process's descriptors is this socket.
static bool holds(const char *pid, const char *socket) {
  char path[PATH_LEN], target[64];
  snprintf(path, sizeof path, "/proc/%s/fd", pid);
  DIR *dir = opendir(path);
  bool found = false;
  for (struct dirent *e; dir && !found && (e = readdir(dir));) {
    ssize_t n = readlinkat(dirfd(dir), e->d_name, target, sizeof target - 1);
    if (n > 0) target[n] = 0, found = !strcmp(target, socket);
  }
  if (dir) closedir(dir);
  return found;
}

// The program's name; control characters in it are not the terminal's business.
static void read_name(const char *pid, char *name) {
  char path[PATH_LEN];
  snprintf(path, sizeof path, "/proc/%s/comm", pid);
  FILE *f = fopen(path, "re");
  if (!f || !fgets(name, PROGRAM_NAME_MAX, f)) strcpy(name, "?");
  name[strcspn(name, "\n")] = 0;
  for (char *c = name; *c; c++)
    if ((unsigned char)*c < 0x20 || *c == 0x7f) *c = '?';
  if (f) fclose(f);
}

bool port_owner_find(unsigned port, struct port_owner *owner) {
  unsigned long inode = inode_in("/proc/net/tcp", port);
  if (!inode) inode = inode_in("/proc/net/tcp6", port);
  if (!inode) return false;
  char socket[64];
  snprintf(socket, sizeof socket, "socket:[%lu]", inode);
  DIR *dir = opendir("/proc");
  bool found = false;
  for (struct dirent *e; dir && !found && (e = readdir(dir));) {
    long pid = strtol(e->d_name, NULL, 10);
    if (pid <= 0 || pid == getpid() || !holds(e->d_name, socket)) continue;
    found = true;
    owner->pid = (pid_t)pid;
    read_name(e->d_name, owner->name);
  }
  if (dir) closedir(dir);
  return found;
}
