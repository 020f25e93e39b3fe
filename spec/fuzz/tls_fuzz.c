// SPDX-License-Identifier: MIT
// Bytes against TLS over a transport in memory. The first byte chooses what comes before them: nothing, so
// that they are a ClientHello and what follows it; a handshake by OpenSSL's own client, in whose flights they
// change bytes; or the whole of one, behind which they are records, or what the client says. The second
// chooses pieces, and how little leaves at a time. Nothing is told behind a close, what is given leaves once,
// what the client said comes up as it was, and no handshake is counted any more at the end.
#include <openssl/ssl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/buf.h"
#include "base/mem.h"
#include "loop/tls_certificate.h"
#include "loop/transport_memory.h"
#include "loop/transport_tls.h"

#define CHECK(condition) \
  if (!(condition)) __builtin_trap()

enum { TURNS = 60, ANSWER = 3000, WAITING_MAX = 512 << 10 };
enum how { HOW_BYTES, HOW_CHANGED, HOW_RECORDS, HOW_SAID };

static struct tls_config config;
static struct tls_keys keys;
static SSL_CTX *client_context;

// The user of the transport, and its client.
static struct {
  struct transport *transport; // NULL: closed
  struct memory_peer peer;
  SSL *client;
  struct span said;          // by the client
  size_t heard, given, left; // bytes of that; of ours, and those that have left
  bool is_open, is_in_flight;
} it;

static const char answer[ANSWER];

static void close_it(bool reset) {
  struct transport *t = it.transport;
  it.transport = NULL;
  if (t) t->ops->close(t, reset);
}

static void note_left(size_t len) {
  it.left += len;
  CHECK(it.left <= it.given);
  it.is_in_flight = it.left < it.given;
}

static void give(void) {
  struct outq q = {.count = 1, .len = ANSWER, .iov = {{(void *)(uintptr_t)answer, ANSWER}}};
  if (!it.transport || it.is_in_flight) return;
  it.given += ANSWER, it.is_in_flight = true;
  ssize_t n = it.transport->ops->send(it.transport, &q);
  if (n < 0) close_it(true);
  else note_left((size_t)n);
}

static void on_open(struct transport *t) {
  CHECK(t == it.transport && !it.is_open);
  it.is_open = true;
  t->ops->want_read(t, 1000);
}

static void on_bytes(struct transport *t, struct span bytes) {
  CHECK(t == it.transport && it.is_open && bytes.len);
  if (it.said.len)
    CHECK(it.heard + bytes.len <= it.said.len && !memcmp(it.said.bytes + it.heard, bytes.bytes, bytes.len));
  it.heard += bytes.len;
  give();
}

static void on_sent(struct transport *t, size_t len) {
  CHECK(t == it.transport);
  note_left(len);
}

static void on_end(struct transport *t) {
  CHECK(t == it.transport);
  t->ops->end(t);
  close_it(false);
}

static void on_error(struct transport *t, enum transport_error why) {
  CHECK(t == it.transport && why == TRANSPORT_BROKEN);
  close_it(true);
}

static const struct transport_sink sink = {
    .on_open = on_open, .on_bytes = on_bytes, .on_sent = on_sent, .on_end = on_end, .on_error = on_error};

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static uint16_t keep(const char *text) {
  size_t at = config.text_len;
  strcpy(config.text + at, text);
  config.text_len = (uint16_t)(at + strlen(text) + 1);
  return (uint16_t)at;
}

int LLVMFuzzerInitialize(int *argc, char ***argv) {
  char cert[] = "/tmp/tls_fuzz.XXXXXX", key[] = "/tmp/tls_fuzz.XXXXXX";
  (void)argc, (void)argv;
  close(mkstemp(cert)), close(mkstemp(key));
  CHECK(tls_certificate_make(cert, key) == 0);
  config.count = 1, config.text_len = 1;
  config.hosts[0] = (struct tls_host_config){.cert = keep(cert), .key = keep(key)};
  tls_keys_init(&keys, clock_system());
  client_context = SSL_CTX_new(TLS_client_method());
  return 0;
}

// The set of hosts is read once; each run has a reference.
static struct tls_hosts *hosts_of(void) {
  static struct tls_hosts *hosts;
  char error[TLS_ERROR_MAX];
  if (!hosts) {
    hosts = tls_hosts_new(&config, &keys, error);
    unlink(tls_text(&config, config.hosts[0].cert)), unlink(tls_text(&config, config.hosts[0].key));
  }
  CHECK(hosts);
  return tls_hosts_ref(hosts);
}

// Moves what the server has sent to the client, and back what the client makes of it; `in` changes bytes of
// that.
static void pump(struct span *in) {
  char piece[4096];
  int n, made = 0;
  struct memory_peer *p = &it.peer;
  if (p->to_client.len) BIO_write(SSL_get_rbio(it.client), p->to_client.bytes, (int)p->to_client.len);
  p->to_client.len = 0;
  if (!SSL_is_init_finished(it.client)) SSL_do_handshake(it.client);
  else
    while (SSL_read(it.client, piece, sizeof piece) > 0) continue;
  while ((n = BIO_read(SSL_get_wbio(it.client), piece, sizeof piece)) > 0) {
    for (; in && in->len >= 2; in->bytes += 2, in->len -= 2, made++) {
      if (made > 3) break;
      piece[(unsigned char)in->bytes[0] % (unsigned)n] ^= in->bytes[1];
    }
    buf_append(&p->to_server, piece, (size_t)n);
  }
}

static void turn(struct loop *loop) {
  while (memory_peer_poll(&it.peer)) continue;
  loop_turn(loop);
  while (memory_peer_poll(&it.peer)) continue;
  CHECK(it.peer.to_server.len < WAITING_MAX);
}

static void shake(struct loop *loop, struct span *in) {
  it.client = SSL_new(client_context);
  SSL_set_connect_state(it.client);
  SSL_set_bio(it.client, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
  for (int i = 0; i < TURNS && it.transport; i++) pump(in), turn(loop);
}

static void say(struct loop *loop, enum how how, struct span in) {
  if (how == HOW_SAID && it.is_open && in.len) {
    it.said = in;
    CHECK(SSL_write(it.client, in.bytes, (int)in.len) == (int)in.len);
    pump(NULL);
  } else if (how != HOW_CHANGED) buf_append(&it.peer.to_server, in.bytes, in.len);
  for (int i = 0; i < TURNS && it.transport; i++) {
    turn(loop);
    if (it.client) pump(NULL);
    else it.peer.to_client.len = 0;
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len) {
  struct loop loop;
  struct tls_server server;
  struct tls_counters counters = {0};
  if (len < 2) return 0;
  struct span in = {(const char *)bytes + 2, MIN(len - 2, (size_t)32 << 10)};
  enum how how = (enum how)(bytes[0] & 3);
  loop_init(&loop, clock_system(), false);
  tls_server_init(&server, &loop, &counters, 4);
  tls_server_use(&server, hosts_of());
  memset(&it, 0, sizeof it);
  memory_peer_init(&it.peer);
  if (bytes[0] & 4) it.peer.piece = 40 + bytes[1];
  if (bytes[0] & 8) it.peer.step = 1 + bytes[1];
  it.peer.is_late = bytes[0] & 16;
  it.transport = transport_tls_new(&server, &it.peer.transport);
  it.transport->sink = &sink;
  it.transport->ops->open(it.transport);
  if (how != HOW_BYTES) shake(&loop, how == HOW_CHANGED ? &in : NULL);
  if (how == HOW_RECORDS || how == HOW_SAID) CHECK(it.is_open);
  say(&loop, how, in);
  if (how == HOW_SAID && it.transport) CHECK(it.heard == it.said.len);
  it.peer.client_ended = true;
  for (int i = 0; i < 3 && it.transport; i++) turn(&loop);
  close_it(true);
  CHECK(!server.count && counters.handshakes_total + counters.refused_total == 1);
  SSL_free(it.client);
  memory_peer_deinit(&it.peer);
  tls_server_deinit(&server);
  loop_deinit(&loop);
  return 0;
}
