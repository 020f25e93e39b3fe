// SPDX-License-Identifier: MIT
// What libpq is told for a connection: what the user has said, the host apart, since its name is looked up by
// us, and what we need: no Kerberos, which would look names up as well, and signs of life.
#include "client/pg_connection.h"
#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/mem.h"

static const char SOCKETS[] = "/var/run/postgresql"; // Debian's folder of sockets

void pg_config_deinit(struct pg_config *c) {
  buf_deinit(&c->parameters);
  free(c->host);
}

static void put_text(struct buf *b, struct span text) {
  struct value v = {.type = VALUE_TEXT, .text = text};
  values_put(b, &v);
}

// The value with its NUL, so that libpq can have it where it lies.
static void put_parameter(struct buf *b, const char *keyword, const char *value) {
  put_text(b, (struct span){keyword, strlen(keyword) + 1});
  put_text(b, (struct span){value, strlen(value) + 1});
}

static void set_parameter(struct pg_config *c, const char *keyword, const char *value) {
  if (strcmp(keyword, "host") && strcmp(keyword, "hostaddr")) {
    put_parameter(&c->parameters, keyword, value);
    return;
  }
  free(c->host);
  c->host = xstrdup(value);
}

static int read_conninfo(struct pg_config *c, const char *conninfo, struct buf *why) {
  char *error = NULL;
  PQconninfoOption *options = PQconninfoParse(conninfo, &error);
  if (!options) {
    struct span text = span_of(error ? error : "not enough memory");
    while (text.len && text.bytes[text.len - 1] == '\n') text.len--;
    buf_append_span(why, text);
    PQfreemem(error);
    return -1;
  }
  for (PQconninfoOption *o = options; o->keyword; o++)
    if (o->val) set_parameter(c, o->keyword, o->val);
  PQconninfoFree(options);
  return 0;
}

static bool is_known(const char *keyword) {
  PQconninfoOption *options = PQconndefaults();
  bool is = false;
  for (PQconninfoOption *o = options; o && o->keyword && !is; o++) is = !strcmp(o->keyword, keyword);
  PQconninfoFree(options);
  return is;
}

void pg_config_name(const struct pg_config *c, char *to, size_t size) {
  struct span all = buf_span(&c->parameters);
  struct value keyword, value;
  const char *database = "";
  while (values_next(&all, &keyword) && values_next(&all, &value))
    if (!strcmp(keyword.text.bytes, "dbname")) database = value.text.bytes; // the last one counts
  snprintf(to, size, "%s/%s", c->host, database);
}

int pg_config_read(struct pg_config *c, const char *conninfo, struct span more, struct buf *why) {
  struct value keyword, value;
  put_parameter(&c->parameters, "client_encoding", "UTF8");
  put_parameter(&c->parameters, "fallback_application_name", "spate");
  put_parameter(&c->parameters, "keepalives_idle", "30");
  put_parameter(&c->parameters, "keepalives_interval", "10");
  put_parameter(&c->parameters, "keepalives_count", "3");
  put_parameter(&c->parameters, "tcp_user_timeout", "30000");
  if (conninfo && read_conninfo(c, conninfo, why) < 0) return -1;
  while (values_next(&more, &keyword) && values_next(&more, &value)) {
    char *name = xstrndup(keyword.text.bytes, keyword.text.len);
    char *text = xstrndup(value.text.bytes, value.text.len);
    bool known = is_known(name);
    if (known) set_parameter(c, name, text);
    else buf_printf(why, "'%s' is no parameter of a connection", name);
    free(name);
    free(text);
    if (!known) return -1;
  }
  put_parameter(&c->parameters, "gssencmode", "disable");
  if (!c->host) c->host = xstrdup(getenv("PGHOST") && *getenv("PGHOST") ? getenv("PGHOST") : SOCKETS);
  if (*c->host && !strchr(c->host, ',')) return 0;
  buf_printf(why, "expected one host, got '%s'", c->host);
  return -1;
}
