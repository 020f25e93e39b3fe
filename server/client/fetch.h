// SPDX-License-Identifier: MIT
// One request to another server, and its answer as it comes. Who makes it is a fetcher: libcurl in the server
// (client/http_client), an answer that is played in specs. Who takes it is a sink: a Lua response, or C that
// passes it on. Worker thread only.
//
// Ownership. A fetch belongs to who called fetch_new, from then until fetch_free, also after on_end: head,
// result and counts may be read for so long. fetch_free may be called at any time, inside of the sink's
// functions as well, and closes the connection to the other server at once where the answer is not complete;
// the sink hears nothing after it. The sink's functions are called by the fetcher alone, from its hook or
// from a descriptor's callback, and never from within a fetch_ function that the user calls. They may call
// every function here, but none may enter Lua: they link, copy and queue.
#pragma once
#include <stdint.h>
#include "base/buf.h"
#include "http/request.h"
#include "loop/loop.h"

struct fetch;
struct fetcher;
struct service;

enum fetch_error {
  FETCH_OK,
  FETCH_TIMEOUT,   // to connect, between two bytes, or in all
  FETCH_REFUSED,   // nobody listens there, or no way leads there
  FETCH_TLS,       // no secure connection, or a certificate that is not trusted
  FETCH_NAME,      // a name without address
  FETCH_TOO_LARGE, // a head above limits.http_head or limits.http_fields, or a body above what was asked for
  FETCH_REDIRECTS, // more than are followed, or one that leads nowhere
  FETCH_CLOSED,    // the connection ended before the answer did
  FETCH_PROTOCOL,  // what came is not HTTP
  FETCH_URL,       // no URL, or one of neither http nor https
  FETCH_PRIVATE,   // an address of a private network, where those are refused
  FETCH_BUSY       // as many requests as may be at once
};

// What the user is told, in this order: on_head once, on_body any number of times, on_end once; on_end alone
// where no head came. Each but on_end may be NULL.
struct fetch_sink_ops {
  void (*on_head)(struct fetch *f); // status and fields are there, those of the last redirect
  void (*on_body)(struct fetch *f, struct span bytes); // borrowed; to be taken whole. None while it is paused
  void (*on_end)(struct fetch *f);                     // f->error says how
  void (*on_room)(struct fetch *f);                    // the server has taken what was sent: more may be
};

// Embedded in the user, whom container_of(f->sink, ...) finds.
struct fetch_sink {
  const struct fetch_sink_ops *ops;
};

enum fetch_body {
  FETCH_BODY_NONE,
  FETCH_BODY_WHOLE, // `body`
  FETCH_BODY_PIECES // what fetch_send says, until fetch_send_end
};

// What a URL says, taken apart once for many requests.
struct fetch_origin {
  char *host, *path; // without brackets; without the query
  unsigned port;
  bool is_secure;
};

// False where it is no URL of http or https, or has a user in it. The caller deinits it in either case.
bool fetch_origin_parse(struct fetch_origin *o, struct span url);
void fetch_origin_deinit(struct fetch_origin *o);

// What is asked for. All of it is borrowed until fetch_new returns.
struct fetch_request {
  struct span method, url;
  const struct fetch_origin *origin; // of the url, whose path and query are `target` then; NULL: not known
  struct span target;                // as it is sent
  const struct field
      *fields; // checked for line breaks already; none of Host, Content-Length, Transfer-Encoding
  size_t field_count;
  enum fetch_body body_kind;
  struct span body;
  int64_t body_length;         // of FETCH_BODY_PIECES; < 0: not known
  struct span user, password;  // Basic; user.bytes NULL: none
  double connect, idle, total; // seconds; 0: as the settings say, INFINITY: no limit
  unsigned redirects;          // that are followed
  bool refuses_private;        // beside the setting
  bool is_unverified;          // whatever certificate the server has
  bool wants_certificate;      // to look at, in the fetch
  const char *ca, *cert, *key; // paths; NULL: what the system trusts, none
  const char *unix_path;       // a socket to connect to instead; NULL: none
};

enum fetch_state { FETCH_ASKED, FETCH_ANSWERED, FETCH_ENDED };

// Embedded in what its fetcher keeps of it. Users only read it.
struct fetch {
  struct fetcher *fetcher;
  struct fetch_sink *sink; // NULL once its user has left
  enum fetch_state state;
  bool has_head; // on_head has been told
  bool is_paused;
  int status; // where it has a head, as is what follows
  struct field *fields;
  size_t field_count;
  struct buf head;        // the bytes that fields are in
  char version[4];        // of HTTP, as the head says: "1.1", "2"
  struct buf certificate; // lines "Name:value" of the server's, where it was wanted and there is one
  enum fetch_error error; // of FETCH_ENDED
  char *message;          // of an error: what happened, for people; NULL: none
  struct buf upload;      // sent by the user, and not taken by the server
  bool upload_ended;
  bool upload_stopped; // no more of it comes, and that was not its end
  uint64_t bytes_out;  // of the body, so far
};

struct fetcher_ops {
  struct fetch *(*open)(struct fetcher *r, const struct fetch_request *request);
  void (*resume)(struct fetch *f); // is_paused is false again: what waits is told of in the next hook
  void (*send)(struct fetch *f);   // upload or upload_ended has changed
  void (*free)(struct fetch *f);   // ends what runs, at once; fetch_deinit, and frees it
  // Appends a row of JSON for each that is open; NULL: it cannot tell.
  void (*list)(const struct fetcher *r, struct buf *out);
};

struct fetcher {
  const struct fetcher_ops *ops;
  struct service *service;
  struct loop_hook hook; // runs behind those of the Lua states; its user adds it to the loop
  size_t open;           // fetches that are not freed
};

// Begins a request; its sink hears of it from the next hook on. NULL where limits.http_requests are open.
struct fetch *fetch_new(struct fetcher *r, const struct fetch_request *request, struct fetch_sink *sink);

// survey_fn (serve/survey): the worker's rows.
void fetch_list(struct service *s, struct span about, struct buf *out);

// Ends and frees it. NULL is allowed.
void fetch_free(struct fetch *f);

// Has no body come until fetch_resume: then the server is no longer read from, and waits once the kernel's
// buffers are full. What had come to the fetcher by then, up to 16 KiB, waits there.
void fetch_pause(struct fetch *f);
void fetch_resume(struct fetch *f);

// More of a body in pieces, copied; on_room says when it has been taken. Its end. Or no more, as the answer
// is there: only that is waited for. Nothing once the fetch has ended.
void fetch_send(struct fetch *f, struct span bytes);
void fetch_send_end(struct fetch *f);
void fetch_send_no_more(struct fetch *f);

// The value of the first field of this name, in any case; bytes == NULL: none.
struct span fetch_field(const struct fetch *f, struct span name);

// "timeout" and so on, static: what scripts get.
const char *fetch_error_name(enum fetch_error error);

// For fetchers: what the sink is told, and counted.
void fetch_init(struct fetch *f, struct fetcher *r);
void fetch_deinit(struct fetch *f);

// A line of the head, without its end: the status line (which drops what was there before, such as an interim
// answer's), then a field each. False where there are too many or too long ones, and where the status line is
// none, which leaves the status 0.
bool fetch_head_line(struct fetch *f, struct span line);

// The head is complete: its fields can be asked for. Tells of it, which is not called for a redirect that is
// followed.
void fetch_place_fields(struct fetch *f);
void fetch_tell_head(struct fetch *f);
void fetch_tell_body(struct fetch *f, struct span bytes);
void fetch_tell_end(struct fetch *f, enum fetch_error error, const char *message);

// Takes up to `max` bytes of what waits in upload; 0: nothing waits. What is told of by fetch_tell_room.
size_t fetch_take_upload(struct fetch *f, char *into, size_t max);
void fetch_tell_room(struct fetch *f);
void fetch_count_sent(struct fetch *f, size_t n);
