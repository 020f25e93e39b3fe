// SPDX-License-Identifier: MIT
// OpenSSL's side of a connection: what it reads and writes lies in memory, and never stops it. The loop's
// thread only.
#pragma once
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>
#include "base/buf.h"
#include "loop/tls_hosts.h"

struct bio_method_st;
struct loop;

enum { TLS_RECORD_LEN = 16 << 10, TLS_SEALED_MAX = 64 << 10 };

struct tls_wire {
  struct ssl_st *ssl; // NULL: not begun
  const struct loop *loop;
  struct span input; // what OpenSSL may read now
  struct buf in;     // what has come before, and was not read
  struct buf fresh;  // what OpenSSL has written
  double opened_at;
  uint32_t key_updates; // that the client has asked for since
};

// How OpenSSL's BIO is one of these; free with BIO_meth_free.
struct bio_method_st *tls_wire_method(void);

// Begins the server's side.
void tls_wire_begin(struct tls_wire *w, struct bio_method_st *method, struct tls_hosts *hosts);
void tls_wire_deinit(struct tls_wire *w);

// The handshake is done: from now on changes of keys are counted.
void tls_wire_opened(struct tls_wire *w);

// Whether the client has had keys changed more often than it may: OpenSSL reads nothing more then.
bool tls_wire_is_abused(const struct tls_wire *w);

// Keeps what OpenSSL has not read of the input.
void tls_wire_keep(struct tls_wire *w);

// Encrypts some of the pieces, TLS_SEALED_MAX bytes and a record at most, joined into records as large as
// they may be: how many bytes; -1 where OpenSSL does no more.
ssize_t tls_wire_seal(struct tls_wire *w, const struct iovec *iov, int count);
