---@meta
-- SPDX-License-Identifier: MIT
-- Types for editors: applications, requests and replies. types.lua says how they are used.

---@alias spate.answer string|table|spate.Reply
---@alias spate.handler fun(req: spate.Request): spate.answer
---@alias spate.next fun(): spate.Reply
---@alias spate.middleware fun(req: spate.Request, next: spate.next): spate.answer?

---@class spate.App
local App = {}

---A route of GET, and of HEAD; the last function is the handler, those before it middleware.
---@param path string "/rooms/:room", "/users/:id[%d]", "/files/*path"
---@param ... spate.middleware middleware, then the handler
---@return spate.App
function App:get(path, ...) end

---A route of HEAD, where it is not to follow GET.
---@param path string
---@param ... spate.middleware
---@return spate.App
function App:head(path, ...) end

---A route of POST.
---@param path string
---@param ... spate.middleware
---@return spate.App
function App:post(path, ...) end

---A route of PUT.
---@param path string
---@param ... spate.middleware
---@return spate.App
function App:put(path, ...) end

---A route of PATCH.
---@param path string
---@param ... spate.middleware
---@return spate.App
function App:patch(path, ...) end

---A route of DELETE.
---@param path string
---@param ... spate.middleware
---@return spate.App
function App:delete(path, ...) end

---A route of OPTIONS, which is answered by itself otherwise.
---@param path string
---@param ... spate.middleware
---@return spate.App
function App:options(path, ...) end

---Any method by its name: `app:on("PROPFIND", "/files/*path", fn)`
---@param method string
---@param path string
---@param ... spate.middleware
---@return spate.App
function App:on(method, path, ...) end

---GET, POST, PUT, PATCH, DELETE and OPTIONS, as far as they have no route of their own at this path.
---@param path string
---@param ... spate.middleware
---@return spate.App
function App:all(path, ...) end

---@class spate.ChannelRouteOptions: spate.ChannelOptions
---@field replay? integer|"all" events for who comes without an id
---@field prefix? string of the channels' names, in place of what the path begins with
---@field authorize? fun(req: spate.Request, name: string, action: "subscribe"|"publish"): boolean|spate.Reply

---GET subscribes, POST publishes.
---@param path string
---@param options? spate.ChannelRouteOptions
---@return spate.App
function App:channel(path, options) end

---@class spate.FileOptions
---@field type? string the content type, else by the name
---@field download? boolean|string saved by browsers, under the file's name or this one
---@field cache? number|"immutable"|false seconds; a year; not at all
---@field status? integer 200 unless given
---@field headers? table<string, string|number>

---@class spate.StaticOptions: spate.FileOptions
---@field dotfiles? boolean names that begin with a dot as well

---GET and HEAD of what lies beneath a folder, which is relative to the script's own.
---@param prefix string
---@param dir string
---@param options? spate.StaticOptions
---@return spate.App
function App:static(prefix, dir, options) end

---Routes below a prefix, behind middleware; the last argument is a function of the group.
---@param prefix string
---@param ... spate.middleware|fun(group: spate.App)
---@return spate.App
function App:group(prefix, ...) end

---Another application's routes below a prefix.
---@param prefix string
---@param other spate.App
---@return spate.App
function App:mount(prefix, other) end

---Middleware around every route.
---@param fn spate.middleware
---@return spate.App
function App:use(fn) end

---What it returns, if anything, is the answer.
---@param fn fun(req: spate.Request): spate.answer?
---@return spate.App
function App:before(fn) end

---Runs behind each handler, and may change its reply or return another.
---@param fn fun(req: spate.Request, reply: spate.Reply): spate.Reply?
---@return spate.App
function App:after(fn) end

---Answers what a handler raises.
---@param fn fun(err: any, req: spate.Request): spate.answer
---@return spate.App
function App:on_error(fn) end

---Answers what has no route.
---@param fn spate.handler
---@return spate.App
function App:not_found(fn) end

---Runs once, or on each worker, before the code is served. Where it raises, or has not ended after `timeouts.start`, the
---server does not start, and a reload is refused.
---@param fn fun()
---@param options? { each_worker?: boolean }
---@return spate.App
function App:on_start(fn, options) end

---Runs once, or on each worker, when the code is no longer served.
---@param fn fun()
---@param options? { each_worker?: boolean }
---@return spate.App
function App:on_stop(fn, options) end

---@class spate.TlsClient the certificate that the client has shown
---@field subject string as RFC 2253 writes names: "CN=Ada,O=Guests"
---@field issuer string
---@field fingerprint string SHA-256 of the certificate, in hex
---@field verified boolean false with verify_client = "any" only
---@field san string[] such as "DNS:ada.example", "email:ada@example.org", "URI:spiffe://example.org/ada"

---@class spate.Tls
---@field version string "TLSv1.3" or "TLSv1.2"
---@field cipher string
---@field sni string? the host that the client has named
---@field resumed boolean
---@field client spate.TlsClient?

---@class spate.Request
---@field method string
---@field path string
---@field route string? the pattern
---@field host string
---@field scheme string
---@field tls spate.Tls? nil where the request has not come by TLS to this server
---@field url string
---@field remote_addr string
---@field id string random
---@field trace_id string from `traceparent`, else the id
---@field last_event_id string? the header, else ?last_event_id= or ?lastEventId=
---@field closed boolean
---@field ctx table yours
---@field session any a table, or nil, where there is spate.session
---@field params table<string, string>
---@field query table<string, string?>
---@field headers table<string, string?> names in any case
---@field cookies table<string, string?>
local Request = {}

---The whole body; nil and "too large" or "closed".
---@param max? integer bytes
---@return string? body
---@return string? err
function Request:body(max) end

---The body as JSON; nil and what is wrong with it.
---@param options? spate.JsonOptions
---@return any value
---@return string? err
function Request:json(options) end

---The pieces of the body as they come; above max bytes the request is answered with 413.
---@param max? number limits.body unless given; math.huge: no limit
---@return fun(): string?
function Request:chunks(max) end

---Fields by name and files by name and as a list; nil, why there is none, and the status to answer: 400, or 507,
---503 or 500 where it could not be stored.
---@return table<string, string>? fields
---@return any files by name and as a list, spate.File each; or what is wrong
---@return integer status of a failure
function Request:form() end

---Every value of a form's field.
---@param name string
---@return string[]? values
---@return string? err
---@return integer? status
function Request:form_all(name) end

---An uploaded file, for as long as the request lasts.
---@class spate.File
---@field name string the field's
---@field filename string what the client called it, without folders
---@field type string what the client said it is
---@field size integer bytes
local File = {}

---The whole file as a string.
---@return string? text
---@return string? err
function File:text() end

---An iterator over its bytes.
---@return fun(): string?
function File:chunks() end

---An iterator over its lines.
---@return fun(): string?
function File:lines() end

---Writes it to a file, whole or not at all.
---@param path string
---@return true? ok
---@return string? err
---@return integer? code
function File:save(path) end

---All values of a parameter of the query, in their order.
---@param name string
---@return string[]
function Request:query_all(name) end

---All values of a header field, in their order.
---@param name string
---@return string[]
function Request:header_all(name) end

---Whether the client takes an answer of this type.
---@param type string a media type
---@return boolean
function Request:accepts(type) end

---Ends an event stream cleanly by then; the client comes back.
---@param seconds number
function Request:close_after(seconds) end

---Runs once the request or its stream has ended: `finished`, `client_closed` ...
---@param fn fun(reason: "finished"|"client_closed"|"error"|"timeout"|"slow_consumer"|"shutdown"|"reload"|"kicked")
function Request:on_close(fn) end

---Names the stream, for spate.kick: at most 16 names of 200 bytes. nil, "closed" where it is over.
---@param ... string
---@return spate.Request? req
---@return string? why
function Request:tag(...) end

---@class spate.reply
local reply = {}

---A plain text.
---@param text string
---@param status? integer
---@return spate.Reply
function reply.text(text, status) end

---A page.
---@param html string
---@param status? integer
---@return spate.Reply
function reply.html(html, status) end

---A value as JSON.
---@param value any
---@param status? integer
---@return spate.Reply
function reply.json(value, status) end

---Bytes of any type, such as "image/png".
---@param bytes string
---@param type string
---@param status? integer
---@return spate.Reply
function reply.body(bytes, type, status) end

---A status without a body, such as 204.
---@param status integer
---@return spate.Reply
function reply.status(status) end

---An error, as text or JSON, whichever the client prefers.
---@param status integer
---@param text? string
---@return spate.Reply
function reply.error(status, text) end

---Sends the client elsewhere: 303 unless given.
---@param url string
---@param status? integer 303 unless given
---@return spate.Reply
function reply.redirect(url, status) end

---A body that is written piece by piece.
---@param fn fun(write: fun(bytes: string|number): true?, string?)
---@param options? { status: integer?, type: string?, headers: table<string, string>?, length: integer? }
---@return spate.Reply
function reply.stream(fn, options) end

---Another server's answer as it comes, but for the fields of its connection.
---@param res spate.HttpResponse
---@param options? { headers: table<string, string>? } in the place of its own
---@return spate.Reply
function reply.pass(res, options) end

---@class spate.ProxyOptions
---@field headers? table<string, string|false> in the place of the client's; false: not passed on
---@field timeout? number|spate.HttpTimeout
---@field preserve_host? boolean the client's Host, not that of the URL
---@field max_body? integer bytes of the request's body; limits.body
---@field via? false no Via
---@field tls? spate.HttpTls
---@field unix? string path of a socket to connect to

---What the server at the URL answers to the same request; what the route's `*rest` matches goes behind the URL.
---@param url string
---@param options? spate.ProxyOptions
---@return spate.Reply
function reply.proxy(url, options) end

---A file, by a path relative to the script's folder; 404 where there is none.
---@param path string
---@param options? spate.FileOptions
---@return spate.Reply
function reply.file(path, options) end

---@class spate.Reply
local Reply = {}

---Sets its status.
---@param status integer
---@return spate.Reply
function Reply:status(status) end

---Adds a header field.
---@param name string
---@param value string|number
---@return spate.Reply
function Reply:header(name, value) end

---Whether its body goes compressed to clients that take it.
---@param wanted boolean
---@return spate.Reply
function Reply:compress(wanted) end

---Sets a cookie.
---@param name string
---@param value string
---@param options? { max_age?: number, path?: string, domain?: string, http_only?: boolean, secure?: boolean, same_site?: "Lax"|"Strict"|"None" }
---@return spate.Reply
function Reply:cookie(name, value, options) end
