// SPDX-License-Identifier: MIT
// What the settings say of TLS: certificates by host, and what clients have to show. Plain values, copied as
// a whole; texts lie in it.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { TLS_HOSTS_MAX = 64, TLS_TEXT_MAX = 16 << 10 };

// Which certificates of clients are asked for.
enum tls_clients {
  TLS_CLIENTS_UNASKED,
  TLS_CLIENTS_ANY,      // whoever has signed it: the application looks
  TLS_CLIENTS_OPTIONAL, // none, or one that client_ca has signed
  TLS_CLIENTS_REQUIRED
};

// Offsets in `text`; 0 is the empty one.
struct tls_host_config {
  uint16_t name; // "": the names in the certificate
  uint16_t cert, key, client_ca;
  uint8_t clients; // enum tls_clients
};

struct tls_config {
  size_t count; // the first answers where no host's name is asked for; 0: no TLS
  struct tls_host_config hosts[TLS_HOSTS_MAX];
  uint16_t ciphers, groups; // "": ours
  bool is_min_13;           // 1.2 is not spoken
  bool without_http2;       // above it
  uint16_t text_len;
  char text[TLS_TEXT_MAX]; // begins with a NUL
};

static inline const char *tls_text(const struct tls_config *c, uint16_t at) { return c->text + at; }
