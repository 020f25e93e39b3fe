// SPDX-License-Identifier: MIT
// What is done with whole files and folders. It blocks: for threads without a loop.
#pragma once
#include <stddef.h>
#include "base/buf.h"

struct stat;

// Opens a file to read, without waiting for it where it is a pipe: -1 with errno, EISDIR for a folder and
// ENODEV for what is neither.
int file_open_regular(const char *path, struct stat *st);

// Appends the bytes of an open file to `out`: 0, or an errno; EFBIG where there are more than `max`. `size`
// says how much room to begin with: files of /proc say 0, and others grow meanwhile.
int file_read(int fd, size_t size, size_t max, struct buf *out);

// Replaces the file as a whole, or makes it: 0, or an errno.
int file_write(const char *path, struct span bytes);

// Appends for each entry of a folder a letter (f file, d directory, l link, o other), its name and a NUL: 0,
// or an errno; EFBIG where there are more than `max`.
int file_list(const char *path, size_t max, struct buf *out);
