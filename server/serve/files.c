// SPDX-License-Identifier: MIT
// What was opened is what is sent: size, time and ETag are those of the descriptor, whatever happens to the
// path meanwhile. A root is left neither by ".." nor by links (openat2).
#include "serve/files.h"
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "base/mem.h"
#include "http/conditional.h"
#include "http/http1.h"
#include "http/mime.h"
#include "http/negotiation.h"
#include "serve/file_body.h"
#include "serve/stream.h"

// A FIFO is not waited for, and a terminal does not become ours.
enum {
  FLAGS = O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC,
  ROOT_FLAGS = O_PATH | O_CLOEXEC,
  OPEN_TRIES = 4,
  OWN_FIELDS_MAX = 8
};

static int open_beneath(int root, const char *path, int flags) {
  struct open_how how = {.flags = (uint64_t)flags, .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS};
  long fd = -1;
  for (int left = OPEN_TRIES; left && fd < 0; left--) {
    fd = syscall(SYS_openat2, root, path, &how, sizeof how);
    if (fd < 0 && errno != EAGAIN && errno != EINTR) break; // EAGAIN: somebody renames at this moment
  }
  return (int)fd;
}

int file_root_open(const char *path) {
  int fd = open(path, ROOT_FLAGS);
  if (fd < 0) return -1;
  int probe = open_beneath(fd, ".", ROOT_FLAGS); // an old kernel, or a sandbox, has no openat2
  if (probe >= 0) {
    close(probe);
    return fd;
  }
  int reason = errno;
  close(fd);
  errno = reason;
  return -1;
}

static enum file_error error_of(int number) {
  switch (number) {
  case EACCES:
  case EPERM: return FILE_FORBIDDEN;
  case EMFILE:
  case ENFILE:
  case ENOMEM:
  case EIO:
  case EAGAIN: return FILE_BUSY;
  default: return FILE_MISSING;
  }
}

enum file_error file_open(struct file *f, int root, const char *path) {
  struct stat st;
  *f = (struct file){.fd = -1, .root = root};
  int fd = root < 0 ? open(path, FLAGS) : open_beneath(root, path, FLAGS);
  if (fd < 0) return error_of(errno);
  if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
    bool is_directory = S_ISDIR(st.st_mode);
    close(fd);
    return is_directory ? FILE_IS_DIRECTORY : FILE_MISSING;
  }
  *f = (struct file){.fd = fd,
                     .root = root,
                     .path = xstrdup(path),
                     .size = (uint64_t)st.st_size,
                     .inode = st.st_ino,
                     .modified = st.st_mtim.tv_sec,
                     .nanoseconds = st.st_mtim.tv_nsec};
  return FILE_OK;
}

void file_close(struct file *f) {
  if (f->fd >= 0) close(f->fd);
  free(f->path);
  f->fd = -1, f->path = NULL;
}

void files_close(struct list *files) {
  for (struct list *node; (node = list_shift(files));)
    file_close(&container_of(node, struct listed_file, link)->file);
}

bool file_path_is_public(struct span path, bool dotfiles) {
  if (memchr(path.bytes, '\\', path.len) || memchr(path.bytes, 0, path.len)) return false;
  while (path.len) {
    struct span segment = span_split(&path, '/');
    if (!segment.len || span_equal(segment, SPAN(".")) || span_equal(segment, SPAN(".."))) return false;
    if (segment.bytes[0] == '.' && !dotfiles) return false;
  }
  return true;
}

// An answer in the making. What the script has said of a field goes before what the file says.
struct answer {
  struct stream *stream;
  struct file *file;
  struct span type;
  const char *coding;
  bool varies;
  const struct field *given;
  size_t given_count;
  struct field *fields;
  size_t count;
  struct validators validators;
  char etag[ETAG_MAX], modified[HTTP_DATE_MAX];
};

static struct span given(const struct answer *a, struct span name) {
  for (size_t i = 0; i < a->given_count; i++)
    if (span_equal_nocase(a->given[i].name, name)) return a->given[i].value;
  return (struct span){0};
}

static void answer_add(struct answer *a, struct span name, struct span value) {
  if (value.len) a->fields[a->count++] = (struct field){name, value};
}

// The file's neighbour in a coding that the client prefers, in its place.
static void choose_coding(struct answer *a) {
  static const char *const ends[] = {"", ".br", ".gz"}, *const names[] = {NULL, "br", "gzip"};
  const struct request *r = a->stream->request;
  enum encoding preferred[ENCODING_COUNT];
  a->varies = mime_of(span_of(a->file->path))->is_compressible && !given(a, SPAN("content-encoding")).bytes;
  if (!a->varies || request_field(r, SPAN("range")).bytes) return;
  size_t n = encoding_preferred(r, preferred);
  for (size_t i = 0; i < n; i++) {
    struct file other;
    char *path = xasprintf("%s%s", a->file->path, ends[preferred[i]]);
    bool found = file_open(&other, a->file->root, path) == FILE_OK;
    free(path);
    if (found && other.modified >= a->file->modified) {
      file_close(a->file);
      *a->file = other;
      a->coding = names[preferred[i]];
      return;
    }
    if (found) file_close(&other);
  }
}

static int64_t wall_seconds(const struct answer *a) {
  return (int64_t)clock_wall(stream_service(a->stream)->loop->clock);
}

// Tag and date of what is to be sent. A date in the future is none (RFC 9110 8.8.2.1).
static void set_validators(struct answer *a) {
  const struct file *f = a->file;
  struct span tag = given(a, SPAN("etag"));
  size_t len = etag_write(a->etag, f->size, f->modified, f->nanoseconds, f->inode);
  a->validators.etag = tag.bytes ? tag : (struct span){a->etag, len};
  a->validators.modified = f->modified >= 0 && f->modified <= wall_seconds(a) ? f->modified : -1;
  if (!tag.bytes) answer_add(a, SPAN("ETag"), a->validators.etag);
  if (a->validators.modified < 0 || given(a, SPAN("last-modified")).bytes) return;
  len = http_date_write(a->modified, f->modified);
  answer_add(a, SPAN("Last-Modified"), (struct span){a->modified, len});
}

static void send_nothing(struct answer *a, int status) {
  stream_reply(a->stream, status, a->fields, a->count, SPAN(""));
}

// A refusal: its text is not the file's, nor to be kept like it.
static void send_refusal(struct answer *a, int status) {
  char text[64];
  size_t kept = 0;
  for (size_t i = 0; i < a->count; i++)
    if (!span_equal_nocase(a->fields[i].name, SPAN("cache-control")) &&
        !span_equal_nocase(a->fields[i].name, SPAN("content-disposition")))
      a->fields[kept++] = a->fields[i];
  a->count = kept;
  answer_add(a, SPAN("Content-Type"), SPAN("text/plain; charset=utf-8"));
  int len = snprintf(text, sizeof text, "%s\n", status_phrase(status));
  stream_reply(a->stream, status, a->fields, a->count, (struct span){text, (size_t)len});
}

static void send_body(struct answer *a, int status, const struct byte_range *ranges, size_t count,
                      struct span boundary) {
  int fd = a->file->fd;
  a->file->fd = -1;
  struct file_body *body = file_body_new(fd, ranges, count, boundary, a->type, a->file->size);
  stream_reply_file(a->stream, status, a->fields, a->count, body);
}

static void send_whole(struct answer *a, int status) {
  answer_add(a, SPAN("Content-Type"), a->type);
  if (a->coding) answer_add(a, SPAN("Content-Encoding"), span_of(a->coding));
  else answer_add(a, SPAN("Accept-Ranges"), SPAN("bytes"));
  send_body(a, status, &(struct byte_range){0, a->file->size}, 1, SPAN(""));
}

static void send_ranges(struct answer *a, const struct byte_range *ranges, size_t count) {
  char text[96], boundary[24];
  struct service *service = stream_service(a->stream);
  if (count == 1) {
    int len = snprintf(text, sizeof text, "bytes %" PRIu64 "-%" PRIu64 "/%" PRIu64, ranges->first,
                       ranges->first + ranges->len - 1, a->file->size);
    answer_add(a, SPAN("Content-Type"), a->type);
    answer_add(a, SPAN("Content-Range"), (struct span){text, (size_t)len});
    send_body(a, 206, ranges, 1, SPAN(""));
    return;
  }
  int boundary_len =
      snprintf(boundary, sizeof boundary, "%08x%08x", (unsigned)(service_random(service) * 0xffffffff),
               (unsigned)(service_random(service) * 0xffffffff));
  int len = snprintf(text, sizeof text, "multipart/byteranges; boundary=%s", boundary);
  answer_add(a, SPAN("Content-Type"), (struct span){text, (size_t)len});
  send_body(a, 206, ranges, count, (struct span){boundary, (size_t)boundary_len});
}

static void send_satisfiable(struct answer *a, struct span range) {
  struct byte_range ranges[RANGES_MAX];
  char text[40];
  size_t count;
  switch (range_read(range, a->file->size, ranges, &count)) {
  case RANGE_WHOLE: send_whole(a, 200); break;
  case RANGE_PARTS: send_ranges(a, ranges, count); break;
  case RANGE_UNSATISFIABLE: {
    int len = snprintf(text, sizeof text, "bytes */%" PRIu64, a->file->size);
    answer_add(a, SPAN("Content-Range"), (struct span){text, (size_t)len});
    send_refusal(a, 416);
  }
  }
}

static void answer_conditions(struct answer *a) {
  const struct request *r = a->stream->request;
  struct span range = request_field(r, SPAN("range"));
  switch (conditional_check(r, &a->validators)) {
  case CONDITION_FAILED: send_refusal(a, 412); return;
  case CONDITION_NOT_MODIFIED: send_nothing(a, 304); return;
  case CONDITION_MET: break;
  }
  bool in_parts = range.bytes && r->method == METHOD_GET && !a->coding;
  if (in_parts && conditional_allows_range(r, &a->validators, wall_seconds(a))) send_satisfiable(a, range);
  else send_whole(a, 200);
}

void file_answer(struct file *f, struct stream *s, int status, struct span type, const struct field *fields,
                 size_t count) {
  struct field all[count + OWN_FIELDS_MAX];
  struct answer a = {.stream = s, .file = f, .given = fields, .given_count = count, .fields = all};
  a.type = type.len ? type : span_of(mime_of(span_of(f->path))->type);
  for (size_t i = 0; i < count; i++) all[a.count++] = fields[i];
  choose_coding(&a);
  set_validators(&a);
  if (a.varies) answer_add(&a, SPAN("Vary"), SPAN("Accept-Encoding"));
  bool is_read = s->request->method == METHOD_GET || s->request->method == METHOD_HEAD;
  if (status == 200 && is_read) answer_conditions(&a);
  else if (status == 204 || status == 205 || status == 304) send_nothing(&a, status);
  else send_whole(&a, status);
}
