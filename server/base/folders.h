// SPDX-License-Identifier: MIT
// Word of saves (inotify). Folders are watched, not files: editors write a new file and rename it, and a file
// may be gone for a moment.
#pragma once
#include <stdbool.h>

// A descriptor that is readable once something has changed in a folder that was added; -1 with errno. close()
// ends it.
int folders_open(void);

// Adds a folder: the number that its changes have, or -1 with errno.
int folders_add(int fd, const char *path);

// Adds the folders through which `path` is reached: its own, and where a symlink lies on the way, the link's
// and those of what it leads to.
void folders_add_way(int fd, const char *path);

// Calls fn for each of those folders, with the name in it that the path leads over.
void folders_each_on_way(const char *path, void (*fn)(void *arg, const char *folder, const char *name),
                         void *arg);

// Adds a folder and those below it, but for hidden ones.
void folders_add_below(int fd, const char *path);

// Takes the changes that have come so far and calls fn (may be NULL) for each: the folder's number, and the
// name in it that has changed. True where there were any.
bool folders_read(int fd, void (*fn)(void *arg, int folder, const char *name), void *arg);
