// SPDX-License-Identifier: MIT
// Every setting with its default; read-only once the server runs. Durations are seconds, sizes bytes.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include "base/cidr.h"
#include "http/redact.h"
#include "loop/tls_config.h"

struct broker_limits;

enum { ADMIN_ADDRESS_MAX = 256, ADMIN_TOKEN_MAX = 256, ADMIN_HOSTS_MAX = 16, ADMIN_HOST_MAX = 256 };

struct settings {
  struct {
    size_t head;             // request line and fields together -> 431
    size_t target;           // request target -> 414
    size_t fields;           // number of fields -> 431
    size_t body;             // request body that is collected, and the fields of a form -> 413
    size_t upload;           // request body that is a form with files -> 413
    size_t parts;            // parts of such a form
    size_t spool;            // an uploaded file that is kept in memory; a larger one goes to a temporary file
    size_t chunk_extensions; // of all chunks of a body -> 413
    size_t requests;         // on one connection; the last answer closes it
    size_t connections;      // of the process -> 503; 0: the descriptors that it may have, less some
    size_t connections_per_address; // of them from one address -> 503
    size_t handshakes;              // by TLS that one worker has under way; one more is refused
    size_t send_buffer;             // that the kernel may keep unsent for an event stream
    size_t query_pairs;             // pairs in a query -> 400
    size_t event;                   // one encoded event -> an error at the sender's line
    size_t queue_high;              // a stream's unsent bytes above which its producer waits ...
    size_t queue_low;               // ... and below which it goes on
    size_t queue_events;            // a stream's unsent events above which its producer waits
    size_t subscriber;              // bytes of events that wait for one subscriber -> on_full
    size_t inbox;         // bytes of published events that wait for one worker -> subscribers lose them
    size_t lua_memory;    // bytes of one worker's Lua state
    size_t shared;        // bytes of all shared dictionaries together
    size_t json_depth;    // nesting of JSON, both ways
    size_t tasks;         // spawned tasks of one worker
    size_t files;         // that one worker follows or watches
    size_t file_window;   // bytes of a followed file that wait to be taken
    size_t file;          // bytes of one that is read or written as a whole, unless told otherwise
    size_t work;          // bytes that wait for one worker's threads, or come of them
    double burst;         // CPU seconds that a task may use between two waits
    double turn;          // seconds of a loop's turn above which it is told
    double hang;          // CPU seconds after which a task that cannot be stopped ends the process
    size_t processes;     // programs that run at a time, of all workers
    size_t channels;      // channels of the process
    size_t channel_bytes; // their histories together
    size_t http_requests; // to other servers, of one worker at a time
    size_t http_window;   // bytes of an answer that wait to be read; its sender waits then
    size_t http_head;     // bytes of an answer's head
    size_t http_fields;   // number of its fields
    size_t http_body;     // bytes of an answer that is collected, unless a script says how many
  } limits;
  struct {
    double handshake;    // of TLS, from a connection's begin
    double head;         // from the first byte of a request to the end of its head -> 408
    double idle;         // of a kept-alive connection between two requests
    double body;         // between two reads of a body
    double body_total;   // for the whole body -> 408
    double send;         // without the client taking a byte
    double start;        // for on_start functions to end
    double kill;         // from a program's SIGTERM to its SIGKILL
    double http_connect; // to another server: name, connection and TLS
    double http_idle;    // without a byte from it, or taken by it
  } timeouts;
  struct {
    bool on;                  // it is spoken
    size_t streams;           // at a time on one connection of HTTP/2
    size_t window;            // bytes of a body that come before they are read
    size_t connection_window; // the same of all bodies of a connection
    size_t requests;          // on one connection; the client is then to open another
    size_t resets;            // streams that a client may reset unanswered at once; a tenth more every second
    size_t frames;            // likewise frames that bring nothing
  } http2;
  struct {
    double interval; // between the comments of an idle stream
  } keep_alive;
  struct {
    size_t threads, queue; // calls of one worker that run at once, and that wait for a thread
    size_t memory;         // bytes of the Lua state that one runs in
    size_t bytes;          // of a call's arguments, and of its results
    double time;           // CPU seconds of a call
  } offload;
  struct {
    double grace;  // after a stop signal, until the process ends whatever still runs
    double window; // over which the streams' clean ends are spread
    double retry;  // what the streams' clients are told to wait, times 1 to 2
  } shutdown;
  struct {
    double max_age;     // of streams that code before a reload has opened
    size_t generations; // reloads after which they end earlier
  } reload;
  struct {
    char url[1024]; // where channels are kept: "sqlite:PATH"; "": in memory only
    bool is_async;  // what is published there is told of before it is on the disk
  } store;
  struct {
    bool on;       // event streams, and texts of 1 KiB and more, unless a reply or a channel says otherwise
    size_t window; // bytes that a stream's blocks look back
    size_t memory; // of the windows of the process
  } compress;
  struct {
    bool private; // whether scripts may connect to addresses of private networks and of this machine
  } http;
  struct {
    bool on, inject; // spate dev; pages get a script that reloads them
    bool spec;       // an application's own specs: what is missing around it is stood in for
  } dev;
  struct {
    int level;                 // enum log_level
    int format;                // enum log_format
    bool access;               // a line per request
    struct short_names redact; // query parameters whose values are left out
  } log;
  struct {
    char address[ADMIN_ADDRESS_MAX]; // of the admin listener, as in `listen`; "": there is none
    char token[ADMIN_TOKEN_MAX];     // who has it is allowed there; "": whoever reaches it
    unsigned host_count;
    char hosts[ADMIN_HOSTS_MAX][ADMIN_HOST_MAX]; // names that it is called by, beside localhost and addresses
  } admin;
  struct tls_config tls;
  bool io_uring;                  // a turn's sends go to the kernel by one call, where the system lets them
  struct trusted trusted_proxies; // whose X-Forwarded fields are believed
};

// Changes the defaults to what suits an application in the making: its streams end at once, and come back
// soon.
void settings_for_dev(struct settings *s);

// What of it the process's channels go by.
struct broker_limits settings_broker_limits(const struct settings *s);

// The power of two that compress.window is.
int settings_window_bits(const struct settings *s);

// The defaults, as README states them.
struct settings settings_default(void);
