// SPDX-License-Identifier: MIT
// delivery: proves that subscribers who drop and resume at random miss nothing. Publishers POST numbered
// events on connections that are kept alive; subscribers close or reset theirs at random and come back with
// Last-Event-ID. Every event must be the one that follows the last, with what its publisher was told it
// became.
//
//   delivery -p PORT [-c SUBSCRIBERS] [-k PUBLISHERS] [-r EVENTS_PER_SECOND] [-d SECONDS] [-m
//   MEAN_SECONDS_TO_DROP] [-z]
//
// The server answers POST /publish with the id of the event that its body has become; GET /live streams what
// comes, GET /all all that came and what comes, and each what follows Last-Event-ID. Prints one line of JSON;
// -z: subscribers ask for gzip, and decode it. Prints one line of JSON;
// ends with 1 where anything was lost, repeated, out of order, reset or never came, and says what first.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdarg.h>
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
#include <zlib.h>

enum { LINE = 256, EVENTS_MAX = 1 << 22, PUBLISHERS_MAX = 64, BATCH = 256, FAULTS_TOLD = 10 };
enum { PATIENCE = 30 }; // seconds in which all that was published has to come
enum state { HEAD, CHUNK_SIZE, CHUNK_DATA, CHUNK_END };

struct subscriber {
  int fd, number;
  enum state state;
  size_t left, line_len;
  uint64_t last; // of what it has; 0: nothing
  uint64_t seq;  // of the event that is coming
  uint32_t payload;
  double drop_at, dial_at;
  z_stream z; // of a body that is compressed
  char line[LINE];
};

struct publisher {
  pthread_t thread;
  uint32_t number, count;
  uint64_t *seqs; // what its events became
};

static struct {
  int port, subscribers, publishers;
  double rate, seconds, mean;
  bool gzip;
} opt = {.port = 8080, .subscribers = 200, .publishers = 4, .rate = 400, .seconds = 5, .mean = 1};

static struct subscriber *subscribers;
static struct publisher publishers[PUBLISHERS_MAX];
static uint32_t *payloads; // by seq: what came first as this event
static char epoch[32];
static atomic_bool publishing = true;
static atomic_uint published, faults;
static uint64_t events, closes, resets, cuts, dials;
static int poll_fd;

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static double chance(void) { return (double)random() / (1u << 31); }

static void fault(const char *format, ...) {
  va_list args;
  if (atomic_fetch_add(&faults, 1) >= FAULTS_TOLD) return;
  va_start(args, format);
  vfprintf(stderr, format, args);
  va_end(args);
}

static void fail(const char *what) {
  perror(what);
  exit(2);
}

// Sources are spread over 127.0.1.0/24, so that ports do not run out.
static int dial(int number) {
  int one = 1, fd = socket(AF_INET, SOCK_STREAM, 0);
  if (fd < 0) fail("delivery: socket");
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)opt.port)};
  struct sockaddr_in from = {.sin_family = AF_INET,
                             .sin_addr.s_addr = htonl(0x7f000101u + (unsigned)number % 250)};
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  setsockopt(fd, SOL_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  if (bind(fd, (struct sockaddr *)&from, sizeof from) || connect(fd, (struct sockaddr *)&to, sizeof to))
    fail("delivery: connect");
  return fd;
}

// The number of an id of this run's channel; 0 for any other.
static uint64_t seq_of(const char *id) {
  const char *dash = strchr(id, '-');
  if (!dash || (size_t)(dash - id) >= sizeof epoch) return 0;
  if (!*epoch) memcpy(epoch, id, (size_t)(dash - id));
  uint64_t seq =
      strncmp(id, epoch, (size_t)(dash - id)) || epoch[dash - id] ? 0 : strtoull(dash + 1, NULL, 10);
  return seq < EVENTS_MAX ? seq : 0;
}

static void subscribe(struct subscriber *s) {
  char request[LINE], resume[128] = "";
  const char *coding = opt.gzip ? "Accept-Encoding: gzip\r\n" : "";
  if (s->last) snprintf(resume, sizeof resume, "Last-Event-ID: %s-%" PRIu64 "\r\n", epoch, s->last);
  int len = snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: delivery\r\n%s%s\r\n",
                     s->number % 2 ? "/live" : "/all", coding, resume);
  s->fd = dial(s->number), s->state = HEAD, s->left = s->line_len = 0, s->seq = s->payload = 0;
  if (opt.gzip && inflateInit2(&s->z, 16 + MAX_WBITS) != Z_OK) fail("delivery: inflate");
  s->drop_at = now() + 2 * opt.mean * chance();
  dials++;
  if (send(s->fd, request, (size_t)len, MSG_NOSIGNAL) != len) fail("delivery: send");
  epoll_ctl(poll_fd, EPOLL_CTL_ADD, s->fd, &(struct epoll_event){.events = EPOLLIN, .data.ptr = s});
}

static void hang_up(struct subscriber *s, double pause) {
  close(s->fd);
  if (opt.gzip) inflateEnd(&s->z);
  s->fd = -1, s->dial_at = now() + pause;
}

// Half of them vanish with a reset, half say that they go; half come back at once.
static void drop(struct subscriber *s) {
  bool reset = random() & 1;
  if (reset) setsockopt(s->fd, SOL_SOCKET, SO_LINGER, &(struct linger){1, 0}, sizeof(struct linger));
  reset ? resets++ : closes++;
  hang_up(s, random() & 1 ? 0 : chance() * opt.mean / 2);
}

static void on_event(struct subscriber *s) {
  if (!s->seq || !s->payload) {
    fault("subscriber %d: an event without id or payload after %" PRIu64 "\n", s->number, s->last);
    return;
  }
  bool follows = s->seq == s->last + 1 || (!s->last && s->number % 2);
  if (!follows) fault("subscriber %d: %" PRIu64 " after %" PRIu64 "\n", s->number, s->seq, s->last);
  if (!payloads[s->seq]) payloads[s->seq] = s->payload;
  if (payloads[s->seq] != s->payload) fault("subscriber %d: other data in %" PRIu64 "\n", s->number, s->seq);
  s->last = s->seq, s->seq = s->payload = 0;
  events++;
}

static uint32_t pack(uint32_t publisher, uint32_t n) { return publisher << 24 | n; }

static void on_line(struct subscriber *s) {
  unsigned publisher, n;
  s->line[s->line_len] = 0;
  if (s->state == HEAD) {
    bool first = !strncmp(s->line, "HTTP/", 5);
    if (first && strncmp(s->line, "HTTP/1.1 200", 12) != 0) fault("subscriber %d: %s\n", s->number, s->line);
    if (!strcmp(s->line, "\r")) s->state = CHUNK_SIZE;
  } else if (!s->line_len) {
    if (s->seq || s->payload) on_event(s);
  } else if (!strncmp(s->line, "id: ", 4)) s->seq = seq_of(s->line + 4);
  else if (sscanf(s->line, "data: %u %u", &publisher, &n) == 2) s->payload = pack(publisher, n);
  else if (*s->line != ':') fault("subscriber %d: %s\n", s->number, s->line);
}

static void on_byte(struct subscriber *s, char c) {
  if (c == '\n') {
    on_line(s);
    s->line_len = 0;
  } else if (s->line_len < LINE - 1) s->line[s->line_len++] = c;
}

static void on_size_byte(struct subscriber *s, char c) {
  if (c == '\n') {
    if (!s->left) fault("subscriber %d: the stream ended\n", s->number);
    s->state = CHUNK_DATA;
  } else if (c != '\r') s->left = s->left * 16 + (size_t)(c <= '9' ? c - '0' : (c | 32) - 'a' + 10);
}

// Bytes of the body.
static void on_bytes(struct subscriber *s, const char *p, size_t n) {
  char text[1 << 14];
  for (size_t i = 0; i < n && !opt.gzip; i++) on_byte(s, p[i]);
  if (!opt.gzip) return;
  s->z.next_in = (unsigned char *)(uintptr_t)p, s->z.avail_in = (unsigned)n;
  do {
    s->z.next_out = (unsigned char *)text, s->z.avail_out = sizeof text;
    int result = inflate(&s->z, Z_SYNC_FLUSH);
    if (result != Z_OK && result != Z_BUF_ERROR)
      fault("subscriber %d: inflate: %s\n", s->number, s->z.msg ? s->z.msg : zError(result));
    for (size_t i = 0; i < sizeof text - s->z.avail_out; i++) on_byte(s, text[i]);
    if (result != Z_OK) break;
  } while (s->z.avail_in || !s->z.avail_out);
}

static void take(struct subscriber *s, const char *p, size_t n) {
  for (const char *end = p + n; p < end; p++) {
    switch (s->state) {
    case HEAD: on_byte(s, *p); break;
    case CHUNK_SIZE: on_size_byte(s, *p); break;
    case CHUNK_DATA: {
      size_t some = s->left < (size_t)(end - p) ? s->left : (size_t)(end - p);
      on_bytes(s, p, some);
      p += some - 1, s->left -= some;
      if (s->left == 0) s->state = CHUNK_END;
      break;
    }
    case CHUNK_END:
      if (*p == '\n') s->state = CHUNK_SIZE;
    }
  }
}

static void pump(void) {
  static char bytes[1 << 16];
  struct epoll_event ready[BATCH];
  int count = epoll_wait(poll_fd, ready, BATCH, 2);
  for (int i = 0; i < count; i++) {
    struct subscriber *s = ready[i].data.ptr;
    ssize_t n = recv(s->fd, bytes, sizeof bytes, MSG_DONTWAIT);
    if (n > 0) take(s, bytes, (size_t)n);
    if (n > 0 || (n < 0 && errno == EAGAIN)) continue;
    cuts++;
    hang_up(s, 0);
  }
}

// Who is due to drop drops, who is due to come back does. True while somebody lacks something.
static bool step(bool dropping, uint64_t newest) {
  bool lacking = false;
  double t = now();
  for (int i = 0; i < opt.subscribers; i++) {
    struct subscriber *s = &subscribers[i];
    if (s->fd >= 0 && dropping && t >= s->drop_at) drop(s);
    if (s->fd < 0 && t >= s->dial_at) subscribe(s);
    lacking = lacking || s->last < newest;
  }
  return lacking;
}

// Sends one event and returns what it became; 0 where it was not accepted.
static uint64_t publish(int fd, uint32_t publisher, uint32_t n) {
  char text[1024], body[32];
  int len = snprintf(body, sizeof body, "%u %u", publisher, n);
  len = snprintf(text, sizeof text,
                 "POST /publish HTTP/1.1\r\nHost: delivery\r\nContent-Length: %d\r\n\r\n%s", len, body);
  if (send(fd, text, (size_t)len, MSG_NOSIGNAL) != len) return 0;
  char *end = NULL, *length = NULL;
  for (size_t have = 0; !end || !length || text + have < end + 4 + strtoul(length + 17, NULL, 10);) {
    ssize_t got = recv(fd, text + have, sizeof text - 1 - have, 0);
    if (got <= 0) return 0;
    text[have += (size_t)got] = 0;
    end = strstr(text, "\r\n\r\n"), length = strcasestr(text, "\r\ncontent-length: ");
  }
  char *dash = strchr(end, '-');
  return !strncmp(text, "HTTP/1.1 200", 12) && dash ? strtoull(dash + 1, NULL, 10) : 0;
}

static void *publish_all(void *arg) {
  struct publisher *p = arg;
  int fd = dial(opt.subscribers + (int)p->number);
  double pause = opt.publishers / opt.rate, due = now();
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &(struct timeval){PATIENCE, 0}, sizeof(struct timeval));
  while (publishing && p->count < EVENTS_MAX / PUBLISHERS_MAX) {
    uint64_t seq = publish(fd, p->number, p->count + 1);
    if (!seq) {
      fault("publisher %u: event %u was not accepted\n", p->number, p->count + 1);
      break;
    }
    p->seqs[p->count++] = seq;
    atomic_fetch_add(&published, 1);
    due += pause;
    double left = due - now();
    if (left > 0) usleep((useconds_t)(left * 1e6));
  }
  close(fd);
  return NULL;
}

static void start_publishers(void) {
  for (int i = 0; i < opt.publishers; i++) {
    struct publisher *p = &publishers[i];
    p->number = (uint32_t)i + 1;
    p->seqs = calloc(EVENTS_MAX / PUBLISHERS_MAX, sizeof *p->seqs);
    if (!p->seqs || pthread_create(&p->thread, NULL, publish_all, p)) fail("delivery: publisher");
  }
}

static bool any_publishing(void) {
  static bool ended[PUBLISHERS_MAX];
  bool any = false;
  for (int i = 0; i < opt.publishers; i++) {
    ended[i] = ended[i] || pthread_tryjoin_np(publishers[i].thread, NULL) == 0;
    any = any || !ended[i];
  }
  return any;
}

// Every event that a publisher was told of has come as what it sent, in its order, and nothing else.
static void check_publishers(void) {
  for (int i = 0; i < opt.publishers; i++) {
    struct publisher *p = &publishers[i];
    for (uint32_t n = 0; n < p->count; n++) {
      uint64_t seq = p->seqs[n];
      if (n && seq <= p->seqs[n - 1])
        fault("publisher %u: %" PRIu64 " after %" PRIu64 "\n", p->number, seq, p->seqs[n - 1]);
      if (seq >= EVENTS_MAX || payloads[seq] != pack(p->number, n + 1))
        fault("publisher %u: event %u is not %" PRIu64 "\n", p->number, n + 1, seq);
    }
  }
}

static void run(void) {
  double end = now() + opt.seconds, deadline = end + PATIENCE;
  for (int i = 0; i < opt.subscribers; i++) {
    subscribers[i] = (struct subscriber){.fd = -1, .number = i};
    subscribe(&subscribers[i]);
    if (i % 64 == 63) pump();
  }
  start_publishers();
  for (; now() < end; pump()) step(true, 0);
  publishing = false;
  while (any_publishing()) step(false, 0), pump();
  while (step(false, published) && now() < deadline) pump();
  for (int i = 0; i < opt.subscribers; i++)
    if (subscribers[i].last != published)
      fault("subscriber %d: ends with %" PRIu64 " of %u\n", i, subscribers[i].last, published);
  check_publishers();
}

int main(int argc, char **argv) {
  for (int letter; (letter = getopt(argc, argv, "p:c:k:r:d:m:z")) != -1;) {
    if (letter == 'p') opt.port = atoi(optarg);
    else if (letter == 'c') opt.subscribers = atoi(optarg);
    else if (letter == 'k') opt.publishers = atoi(optarg);
    else if (letter == 'r') opt.rate = atof(optarg);
    else if (letter == 'd') opt.seconds = atof(optarg);
    else if (letter == 'm') opt.mean = atof(optarg);
    else if (letter == 'z') opt.gzip = true;
    else return 2;
  }
  struct rlimit files;
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
  srandom((unsigned)time(NULL));
  poll_fd = epoll_create1(0);
  subscribers = calloc((size_t)opt.subscribers, sizeof *subscribers);
  payloads = calloc(EVENTS_MAX, sizeof *payloads);
  if (poll_fd < 0 || !subscribers || !payloads || opt.publishers > PUBLISHERS_MAX) fail("delivery");
  run();
  printf("{\"subscribers\":%d,\"published\":%u,\"events\":%" PRIu64 ",\"connections\":%" PRIu64
         ",\"closed\":%" PRIu64 ",\"reset\":%" PRIu64 ",\"cut\":%" PRIu64 ",\"faults\":%u}\n",
         opt.subscribers, published, events, dials, closes, resets, cuts, faults);
  return faults > 0;
}
