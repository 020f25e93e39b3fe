// SPDX-License-Identifier: MIT
// sseload: a load client for event streams, independent of the server under test. It opens many streams on
// loopback, either counts what arrives for a while or publishes by POST at a fixed rate, and prints one line
// of JSON: events, losses, repeats, latency, and the CPU time and memory that the server's processes used.
//
//   sseload [-H 127.0.0.1] -p PORT -g PATH -c STREAMS [-d SECONDS] [-w SETTLE_SECONDS] [-S PID[,PID]] [-z]
//           [-P PUBLISH_PATH -n MESSAGES -r PER_SECOND -s BYTES -k PUBLISHERS -B BODY_PREFIX -T CONTENT_TYPE]
//           [-A "Header: value"] [-L]
//
// A published body is BODY_PREFIX and "<seq> <ns> xxx", padded to BYTES; the streams must carry that text,
// without the prefix, in a data field. A # in PATH stands for the number of the stream. Without -P events are
// only counted; with -L they carry that text too, by whoever sends them, and how long they took is measured.
// Lines must end in LF or CRLF.
//
// A client that waits in epoll makes the server pay for waking it: about nothing for writes in one burst, up
// to 2 us for each write that comes alone. With -z it naps a millisecond between reads instead, so that
// nobody pays.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include "usage.h"

enum { CARRY_MAX = 2048, BATCH = 512, PUBLISHERS_MAX = 64, PAYLOAD_MAX = 60000, PIDS_MAX = 64 };
enum { CONNECT_TIMEOUT = 30, DELIVERY_TIMEOUT = 10 };
enum parse { HEAD, CHUNK_SIZE, CHUNK_EXTENSION, CHUNK_DATA, CHUNK_END, RAW, ENDED };

struct stream {
  int fd;
  enum parse state;
  bool ready, gone, has_data;
  size_t carry_len;
  uint64_t left, events, events_before, received, last_seq;
  char *carry;   // the head, or a line that was split
  uint8_t *seen; // a bit per message: with several publishers the order is not defined
};

static struct {
  const char *host, *get_path, *pub_path, *prefix, *content_type, *header;
  int port, streams, size, publishers;
  double rate, duration, settle;
  long messages;
  pid_t pids[PIDS_MAX];
  int pid_count;
  bool naps, timed;
} opt = {.host = "127.0.0.1",
         .get_path = "/",
         .prefix = "",
         .content_type = "text/plain",
         .header = "",
         .port = 8080,
         .streams = 100,
         .size = 64,
         .publishers = 1,
         .rate = 100,
         .duration = 5,
         .settle = 1,
         .messages = 500};

static struct {
  uint64_t events, bytes, ready, gone, ended, repeated, disordered, outstanding, last_ns;
} seen;

// Latencies in buckets of 1/64 of a power of two: percentiles within 1.6 %, no memory per message.
static struct { uint64_t bucket[64 * 64], count, max; } latency;

static struct {
  _Atomic bool done;
  uint64_t accepted, refused;
} published;

static struct stream *streams;
static int poll_fd;

static uint64_t now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static uint64_t after_ns(double seconds) { return now_ns() + (uint64_t)(seconds * 1e9); }

static void nap(long ns) {
  struct timespec t = {0, ns};
  nanosleep(&t, NULL);
}

static void fail(const char *what) {
  fprintf(stderr, "sseload: %s\n", what);
  exit(1);
}

static void latency_add(uint64_t ns) {
  int top = 63 - __builtin_clzll(ns | 64), shift = top - 6;
  latency.bucket[shift * 64 + (int)((ns >> shift) & 63)]++;
  latency.count++;
  if (ns > latency.max) latency.max = ns;
}

// Milliseconds below which the given part of all messages arrived.
static double latency_at(double part) {
  uint64_t rank = (uint64_t)((double)latency.count * part), sum = 0;
  for (size_t i = 0; i < sizeof latency.bucket / sizeof *latency.bucket; i++) {
    sum += latency.bucket[i];
    if (latency.bucket[i] && sum > rank) return (double)((64 + i % 64) << i / 64) / 1e6;
  }
  return (double)latency.max / 1e6;
}

static uint64_t number(const char **p, const char *end) {
  uint64_t n = 0;
  for (; *p < end && **p >= '0' && **p <= '9'; ++*p) n = n * 10 + (uint64_t)(**p - '0');
  return n;
}

static void on_message(struct stream *s, uint64_t seq, uint64_t sent_ns) {
  if (seq < 1 || seq > (uint64_t)opt.messages) return;
  uint8_t bit = (uint8_t)(1u << seq % 8);
  if (s->seen[seq / 8] & bit) {
    seen.repeated++;
    return;
  }
  s->seen[seq / 8] |= bit;
  s->received++;
  seen.outstanding--;
  if (seq < s->last_seq) seen.disordered++;
  else s->last_seq = seq;
  seen.last_ns = now_ns();
  if (sent_ns && seen.last_ns >= sent_ns) latency_add(seen.last_ns - sent_ns);
}

static void on_timed(uint64_t sent_ns) {
  uint64_t now = now_ns();
  if (sent_ns && now >= sent_ns) latency_add(now - sent_ns);
}

static void on_data(struct stream *s, const char *p, const char *end) {
  if (p < end && *p == ' ') p++;
  const char *digits = p;
  uint64_t seq = number(&p, end);
  if (p == digits || p >= end || *p != ' ') return;
  p++;
  if (s->seen) on_message(s, seq, number(&p, end));
  else on_timed(number(&p, end));
}

// An event counts when its blank line has come and it had data, as a browser dispatches it.
static void on_line(struct stream *s, const char *p, size_t len) {
  if (len && p[len - 1] == '\r') len--;
  if (len == 0) {
    s->events += s->has_data;
    seen.events += s->has_data;
    s->has_data = false;
  } else if (len >= 5 && !memcmp(p, "data:", 5)) {
    s->has_data = true;
    if (s->seen || opt.timed) on_data(s, p + 5, p + len);
  }
}

// Keeps the start of a line that is longer than the space: what is looked at stands in front.
static size_t carry(struct stream *s, const char *p, size_t len) {
  if (!s->carry && !(s->carry = malloc(CARRY_MAX))) fail("out of memory");
  size_t room = CARRY_MAX - s->carry_len, take = len < room ? len : room;
  memcpy(s->carry + s->carry_len, p, take);
  s->carry_len += take;
  return take;
}

static void feed_body(struct stream *s, const char *p, size_t n) {
  for (const char *line_end; n && (line_end = memchr(p, '\n', n));
       n -= (size_t)(line_end + 1 - p), p = line_end + 1) {
    size_t len = (size_t)(line_end - p);
    if (s->carry_len) {
      carry(s, p, len);
      on_line(s, s->carry, s->carry_len);
      s->carry_len = 0;
    } else on_line(s, p, len);
  }
  if (n) carry(s, p, n);
}

static void bad_reply(struct stream *s, const char *why) {
  static bool said;
  if (!said) fprintf(stderr, "sseload: %s: %.60s\n", why, s->carry);
  said = true;
  s->gone = true;
}

// Returns how many bytes belong to the head.
static size_t feed_head(struct stream *s, const char *p, size_t n) {
  size_t before = s->carry_len, took = carry(s, p, n);
  char *end = memmem(s->carry, s->carry_len, "\r\n\r\n", 4);
  if (!end) {
    if (s->carry_len == CARRY_MAX) bad_reply(s, "no end of head");
    return took;
  }
  end[2] = 0;
  s->carry_len = 0;
  if (strncmp(s->carry, "HTTP/1.", 7) != 0 || strncmp(s->carry + 8, " 200", 4) != 0) {
    bad_reply(s, "not a stream");
    return took;
  }
  s->state = strcasestr(s->carry, "\r\ntransfer-encoding: chunked\r\n") ? CHUNK_SIZE : RAW;
  s->ready = true;
  seen.ready++;
  return (size_t)(end + 4 - s->carry) - before;
}

static int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  c |= 32;
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static void feed_chunk_size(struct stream *s, char c) {
  int digit = hex_digit(c);
  if (c == '\n') s->state = s->left ? CHUNK_DATA : ENDED;
  else if (s->state == CHUNK_EXTENSION) return;
  else if (digit >= 0) s->left = s->left * 16 + (uint64_t)digit;
  else s->state = CHUNK_EXTENSION;
}

static size_t feed_chunk_data(struct stream *s, const char *p, size_t n) {
  size_t take = n < s->left ? n : (size_t)s->left;
  feed_body(s, p, take);
  s->left -= take;
  if (!s->left) s->state = CHUNK_END;
  return take;
}

static void feed(struct stream *s, const char *p, size_t n) {
  for (size_t used; n && !s->gone; p += used, n -= used) {
    used = 1;
    switch (s->state) {
    case HEAD: used = feed_head(s, p, n); break;
    case CHUNK_SIZE:
    case CHUNK_EXTENSION: feed_chunk_size(s, *p); break;
    case CHUNK_DATA: used = feed_chunk_data(s, p, n); break;
    case CHUNK_END:
      if (*p == '\n') s->state = CHUNK_SIZE;
      break;
    case RAW:
      feed_body(s, p, n);
      used = n;
      break;
    case ENDED: used = n; break;
    }
  }
  if (s->state == ENDED && !s->gone) {
    seen.ended++;
    s->gone = true;
  }
}

static void stream_lost(struct stream *s) {
  if (s->fd >= 0) close(s->fd);
  s->fd = -1;
  s->gone = true;
  seen.gone++;
  if (s->seen && seen.outstanding) seen.outstanding -= (uint64_t)opt.messages - s->received;
}

// Reads what has come and returns how many streams had something.
static int pump(int timeout_ms) {
  static char bytes[1 << 18];
  struct epoll_event ready[BATCH];
  int count = epoll_wait(poll_fd, ready, BATCH, timeout_ms);
  for (int i = 0; i < count; i++) {
    struct stream *s = ready[i].data.ptr;
    ssize_t n = recv(s->fd, bytes, sizeof bytes, MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) continue;
    if (n > 0) {
      seen.bytes += (uint64_t)n;
      feed(s, bytes, (size_t)n);
    }
    if (n <= 0 || s->gone) stream_lost(s);
  }
  return count;
}

static void pump_until(uint64_t deadline_ns) {
  while (now_ns() < deadline_ns) {
    if (pump(opt.naps ? 0 : 5) < BATCH && opt.naps) nap(1000000);
  }
}

// On loopback the sources are spread over 127.0.1.0/24, and differ from run to run, so that ports do not run
// out.
static void choose_source(int fd, int i) {
  if (strncmp(opt.host, "127.", 4) != 0) return;
  int one = 1;
  uint32_t last = (uint32_t)(getpid() + i / 5000) % 250 + 1;
  struct sockaddr_in source = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f000100u + last)};
  setsockopt(fd, SOL_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
  if (bind(fd, (struct sockaddr *)&source, sizeof source)) perror("sseload: bind");
}

static int dial(int i) {
  int one = 1, fd = socket(AF_INET, SOCK_STREAM, 0);
  if (fd < 0) {
    perror("sseload: socket");
    exit(1);
  }
  choose_source(fd, i);
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)opt.port)};
  if (inet_pton(AF_INET, opt.host, &to.sin_addr) != 1) fail("-H needs an IPv4 address");
  if (connect(fd, (struct sockaddr *)&to, sizeof to) < 0) {
    fprintf(stderr, "sseload: connection %d: %s\n", i, strerror(errno));
    close(fd);
    return -1;
  }
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  return fd;
}

static void stream_open(struct stream *s, int i, const char *request, size_t len) {
  *s = (struct stream){.fd = dial(i)};
  if (opt.pub_path && !(s->seen = calloc(1, (size_t)opt.messages / 8 + 1))) fail("out of memory");
  if (s->fd < 0 || send(s->fd, request, len, MSG_NOSIGNAL) != (ssize_t)len) {
    stream_lost(s);
    return;
  }
  struct epoll_event e = {.events = EPOLLIN, .data.ptr = s};
  epoll_ctl(poll_fd, EPOLL_CTL_ADD, s->fd, &e);
}

// The request of a stream: a # in the path stands for its number.
static size_t make_request(char *request, size_t room, int i) {
  const char *mark = strchr(opt.get_path, '#');
  char number[16] = "";
  if (mark) snprintf(number, sizeof number, "%d", i);
  int len =
      snprintf(request, room, "GET %.*s%s%s HTTP/1.1\r\nHost: %s:%d\r\nAccept: text/event-stream\r\n%s\r\n",
               mark ? (int)(mark - opt.get_path) : (int)strlen(opt.get_path), opt.get_path, number,
               mark ? mark + 1 : "", opt.host, opt.port, opt.header);
  if (len >= (int)room) fail("path or header too long");
  return (size_t)len;
}

// Opens all streams and waits until each has its head or is gone.
static void open_streams(void) {
  char request[4096];
  for (int i = 0; i < opt.streams; i++) {
    stream_open(&streams[i], i, request, make_request(request, sizeof request, i));
    if (i % 64 == 63) pump(0);
  }
  uint64_t deadline = after_ns(CONNECT_TIMEOUT);
  while (seen.ready + seen.gone < (uint64_t)opt.streams && now_ns() < deadline) pump(10);
}

// Reads one response: a head, then a body of known length or in chunks. False when the connection is over.
static bool read_response(int fd) {
  static char reply[65536];
  size_t have = 0, want = 0;
  bool chunked = false;
  for (char *end = NULL;
       !end || (chunked ? !memmem(end, have - (size_t)(end - reply), "0\r\n\r\n", 5) : have < want);) {
    ssize_t n = recv(fd, reply + have, sizeof reply - 1 - have, 0);
    if (n <= 0) return false;
    reply[have += (size_t)n] = 0;
    if (end || !(end = strstr(reply, "\r\n\r\n"))) continue;
    char *length = strcasestr(reply, "\r\ncontent-length:"),
         *coding = strcasestr(reply, "\r\ntransfer-encoding: chunked");
    want = (size_t)(end + 4 - reply) + (length && length < end ? strtoul(length + 17, NULL, 10) : 0);
    chunked = coding && coding < end;
  }
  if (reply[9] == '2') published.accepted++;
  else if (published.refused++ == 0) fprintf(stderr, "sseload: publish: %.80s\n", reply);
  return true;
}

static int dial_publisher(int i) {
  struct timeval patience = {DELIVERY_TIMEOUT, 0};
  int fd = dial(i);
  if (fd >= 0) setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  return fd;
}

static void publisher_redial(int *fds, int i) {
  published.refused++;
  if (fds[i] >= 0) close(fds[i]);
  fds[i] = dial_publisher(i);
}

static bool publish_one(int fd, long seq) {
  static char request[PAYLOAD_MAX + 8192], payload[PAYLOAD_MAX + 64];
  int len = snprintf(payload, sizeof payload, "%ld %" PRIu64 " ", seq, now_ns());
  if (len < opt.size) {
    memset(payload + len, 'x', (size_t)(opt.size - len));
    len = opt.size;
  }
  int n =
      snprintf(request, sizeof request,
               "POST %s HTTP/1.1\r\nHost: %s:%d\r\nContent-Type: %s\r\n%sContent-Length: %zu\r\n\r\n%s%.*s",
               opt.pub_path, opt.host, opt.port, opt.content_type, opt.header,
               strlen(opt.prefix) + (size_t)len, opt.prefix, len, payload);
  if (n >= (int)sizeof request) fail("path, header or prefix too long");
  return send(fd, request, (size_t)n, MSG_NOSIGNAL) == n;
}

static void sleep_until(uint64_t due_ns) {
  struct timespec t = {(time_t)(due_ns / 1000000000u), (long)(due_ns % 1000000000u)};
  while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) == EINTR) continue;
}

// One thread drives all publishers: it sends a message on each connection, then reads the answers.
static void *publish_all(void *unused) {
  int fds[PUBLISHERS_MAX];
  bool sent[PUBLISHERS_MAX];
  for (int k = 0; k < opt.publishers; k++) fds[k] = dial_publisher(k);
  uint64_t start = now_ns();
  for (long i = 0; i < opt.messages; i += opt.publishers) {
    sleep_until(start + (uint64_t)((double)i * 1e9 / opt.rate));
    for (int k = 0; k < opt.publishers; k++) sent[k] = i + k < opt.messages && publish_one(fds[k], i + k + 1);
    for (int k = 0; k < opt.publishers && i + k < opt.messages; k++) {
      if (!sent[k] || !read_response(fds[k])) publisher_redial(fds, k);
    }
  }
  for (int k = 0; k < opt.publishers; k++) close(fds[k]);
  published.done = true;
  return unused;
}

static void measure_published(void) {
  pthread_t thread;
  seen.outstanding = (uint64_t)opt.messages * (seen.ready - seen.gone);
  if (pthread_create(&thread, NULL, publish_all, NULL)) fail("no thread");
  while (!published.done) pump(5);
  uint64_t deadline = after_ns(DELIVERY_TIMEOUT);
  while (seen.outstanding && now_ns() < deadline) pump(5);
  pthread_join(thread, NULL);
}

// Returns the seconds that the measurement lasted.
static double measure(void) {
  for (int i = 0; i < opt.streams; i++) streams[i].events_before = streams[i].events;
  memset(&latency, 0, sizeof latency); // what came late while others connected is no part of it
  uint64_t start = now_ns();
  if (opt.pub_path) measure_published();
  else pump_until(after_ns(opt.duration));
  uint64_t end = opt.pub_path && seen.last_ns ? seen.last_ns : now_ns();
  return (double)(end - start) / 1e9;
}

static double own_cpu(void) {
  struct rusage u;
  getrusage(RUSAGE_SELF, &u);
  return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
         (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

static double per(double amount, double count) { return count > 0 ? amount / count : 0; }

// What single streams tell: messages that never came, streams that miss some, and the slowest stream's
// events.
static void print_streams(void) {
  uint64_t lost = 0, incomplete = 0, least = UINT64_MAX;
  for (int i = 0; i < opt.streams; i++) {
    const struct stream *s = &streams[i];
    uint64_t missing = opt.pub_path && s->ready ? (uint64_t)opt.messages - s->received : 0;
    lost += missing;
    incomplete += missing > 0 || !s->ready;
    if (s->events - s->events_before < least) least = s->events - s->events_before;
  }
  printf("\"lost\":%" PRIu64 ",\"repeated\":%" PRIu64 ",\"disordered\":%" PRIu64
         ",\"incomplete_conns\":%" PRIu64 ",\"least_events\":%" PRIu64 ",",
         lost, seen.repeated, seen.disordered, incomplete, least);
}

static void print_server(const struct usage *u, double events) {
  double cpu = u[3].cpu_seconds - u[2].cpu_seconds;
  printf("\"server_cpu_s\":%.3f,\"server_us_per_event\":%.3f,\"connect_cpu_us\":%.1f,", cpu,
         per(cpu * 1e6, events), (u[1].cpu_seconds - u[0].cpu_seconds) * 1e6 / opt.streams);
  printf("\"rss_before_kb\":%.0f,\"rss_idle_kb\":%.0f,\"rss_after_kb\":%.0f,\"kb_per_conn\":%.3f,",
         u[0].rss_kb, u[2].rss_kb, u[3].rss_kb, (u[2].rss_kb - u[0].rss_kb) / opt.streams);
}

// Usage is taken before connecting, after it, after settling and at the end.
static void run(void) {
  struct usage u[4] = {usage_of(opt.pids, opt.pid_count)};
  uint64_t start = now_ns();
  open_streams();
  double connect_seconds = (double)(now_ns() - start) / 1e9;
  u[1] = usage_of(opt.pids, opt.pid_count);
  pump_until(after_ns(opt.settle));
  uint64_t events_before = seen.events, bytes_before = seen.bytes;
  u[2] = usage_of(opt.pids, opt.pid_count);
  double seconds = measure();
  u[3] = usage_of(opt.pids, opt.pid_count);
  double events = (double)(seen.events - events_before);
  printf("{\"conns\":%d,\"ready\":%" PRIu64 ",\"dead\":%" PRIu64 ",\"ended\":%" PRIu64 ",\"connect_s\":%.3f,",
         opt.streams, seen.ready, seen.gone, seen.ended, connect_seconds);
  printf("\"published\":%" PRIu64 ",\"publish_errors\":%" PRIu64
         ",\"events\":%.0f,\"seconds\":%.3f,\"events_per_s\":%.0f,",
         published.accepted, published.refused, events, seconds, per(events, seconds));
  print_streams();
  printf("\"p50_ms\":%.3f,\"p99_ms\":%.3f,\"max_ms\":%.3f,", latency.count ? latency_at(0.5) : 0,
         latency.count ? latency_at(0.99) : 0, (double)latency.max / 1e6);
  print_server(u, events);
  printf("\"bytes_per_event\":%.1f,\"client_cpu_s\":%.2f}\n",
         per((double)(seen.bytes - bytes_before), events), own_cpu());
}

static void add_pids(char *list) {
  for (char *t = strtok(list, ","); t && opt.pid_count < PIDS_MAX; t = strtok(NULL, ","))
    opt.pids[opt.pid_count++] = atoi(t);
}

static void add_header(const char *line) {
  char *text;
  if (asprintf(&text, "%s%s\r\n", opt.header, line) < 0) fail("out of memory");
  opt.header = text;
}

static bool set_option(int letter, char *value) {
  switch (letter) {
  case 'H': opt.host = value; return true;
  case 'p': opt.port = atoi(value); return true;
  case 'g': opt.get_path = value; return true;
  case 'c': opt.streams = atoi(value); return opt.streams > 0;
  case 'P': opt.pub_path = value; return true;
  case 'r': opt.rate = atof(value); return opt.rate > 0;
  case 'n': opt.messages = atol(value); return opt.messages > 0;
  case 'k': opt.publishers = atoi(value); return opt.publishers > 0 && opt.publishers <= PUBLISHERS_MAX;
  case 's': opt.size = atoi(value); return opt.size >= 0 && opt.size <= PAYLOAD_MAX;
  case 'd': opt.duration = atof(value); return opt.duration >= 0;
  case 'S': add_pids(value); return true;
  case 'B': opt.prefix = value; return true;
  case 'T': opt.content_type = value; return true;
  case 'A': add_header(value); return true;
  case 'w': opt.settle = atof(value); return opt.settle >= 0;
  case 'z': opt.naps = true; return true;
  case 'L': opt.timed = true; return true;
  default: return false;
  }
}

static void raise_file_limit(void) {
  struct rlimit files;
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
  if ((rlim_t)opt.streams + opt.publishers + 16 > files.rlim_cur)
    fail("more streams than this process may open files");
}

int main(int argc, char **argv) {
  for (int letter; (letter = getopt(argc, argv, "H:p:g:c:P:r:n:k:s:d:S:B:T:A:w:zL")) != -1;) {
    if (set_option(letter, optarg)) continue;
    fprintf(stderr, "sseload: bad option -%c; the head of sseload.c lists them\n",
            letter == '?' ? optopt : letter);
    return 2;
  }
  raise_file_limit();
  poll_fd = epoll_create1(0);
  streams = calloc((size_t)opt.streams, sizeof *streams);
  if (poll_fd < 0 || !streams) fail("cannot start");
  run();
  return 0;
}
