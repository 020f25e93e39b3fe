---@meta
-- SPDX-License-Identifier: MIT
-- Types for editors: requests to other servers. types.lua says how they are used.

---`require "spate.http"`: requests to other servers.
---@class spate.http
local http = {}

---@class spate.HttpTimeout
---@field connect? number seconds until it is connected, the name included; timeouts.http_connect
---@field idle? number without a byte in either direction; timeouts.http_idle
---@field total? number

---@class spate.HttpTls
---@field ca? string path of the certificates that are trusted
---@field cert? string path of ours
---@field key? string path of its key
---@field verify? boolean false: any certificate will do
---@field certificate? boolean true: the response has the server's, to look at

---@class spate.HttpFile
---@field filename? string
---@field type? string
---@field data? string
---@field path? string

---@class spate.HttpOptions
---@field headers? table<string, string|number|string[]>
---@field query? table<string, any>
---@field body? string|fun(): string?, string? what an iterator returns is sent as the server takes it; nil and a message break it off
---@field json? any
---@field form? table<string, string|number|boolean|string[]|spate.HttpFile>
---@field timeout? number|spate.HttpTimeout a number: of the whole
---@field redirects? integer 5 unless given
---@field max? integer bytes of the body
---@field auth? { user: string, password?: string }
---@field tls? spate.HttpTls
---@field unix? string path of a socket to connect to
---@field private? boolean false: no address of a private network
---@field length? integer bytes of a body that is an iterator, where they are known

---@class spate.EventsOptions: spate.HttpOptions
---@field method? string GET unless given
---@field reconnect? boolean comes back, as a browser does
---@field last_event_id? string
---@field on_open? fun(res: spate.HttpResponse)
---@field on_error? fun(message: string, code: string?, seconds: number) how long until it tries again

---Asks another server, and waits for the head of its answer.
---@param method string
---@param url string
---@param options? spate.HttpOptions
---@return spate.HttpResponse? response
---@return string? message
---@return string? code
function http.request(method, url, options) end

---Asks by GET, and waits for the head of the answer.
---@param url string
---@param options? spate.HttpOptions
---@return spate.HttpResponse? response
---@return string? message
---@return string? code
function http.get(url, options) end

---Asks by POST, and waits for the head of the answer.
---@param url string
---@param options? spate.HttpOptions
---@return spate.HttpResponse? response
---@return string? message
---@return string? code
function http.post(url, options) end

---Asks by PUT, and waits for the head of the answer.
---@param url string
---@param options? spate.HttpOptions
---@return spate.HttpResponse? response
---@return string? message
---@return string? code
function http.put(url, options) end

---Asks by PATCH, and waits for the head of the answer.
---@param url string
---@param options? spate.HttpOptions
---@return spate.HttpResponse? response
---@return string? message
---@return string? code
function http.patch(url, options) end

---Asks by DELETE, and waits for the head of the answer.
---@param url string
---@param options? spate.HttpOptions
---@return spate.HttpResponse? response
---@return string? message
---@return string? code
function http.delete(url, options) end

---Asks by HEAD, and waits for the answer.
---@param url string
---@param options? spate.HttpOptions
---@return spate.HttpResponse? response
---@return string? message
---@return string? code
function http.head(url, options) end

---The events of a URL.
---@param url string
---@param options? spate.EventsOptions
---@return spate.Stream? events
---@return string? message
---@return string? code
function http.events(url, options) end

---@class spate.HttpCertificate
---@field subject string "CN=up.example"
---@field issuer string
---@field names string[] such as "DNS:up.example"
---@field starts number? as of os.time
---@field ends number?

---@class spate.HttpResponse
---@field status integer
---@field headers table<string, string> names in any case
---@field http_version string "1.1" or "2"
---@field certificate? spate.HttpCertificate the server's, where `tls = { certificate = true }` asks for it
local HttpResponse = {}

---All values of a field, in their order.
---@param name string
---@return string[]
function HttpResponse:header_all(name) end

---The whole body, collected once.
---@param max? integer
---@return string? body
---@return string? message
---@return string? code
function HttpResponse:body(max) end

---The value of a JSON body.
---@param options? { null: any }
---@return any value
---@return string? message
---@return string? code
function HttpResponse:json(options) end

---An iterator over the body as it comes.
---@return fun(): string?
function HttpResponse:chunks() end

---An iterator over its lines.
---@return fun(): string?
function HttpResponse:lines() end

---Whether its type is text/event-stream.
---@return boolean
function HttpResponse:is_event_stream() end

---The body as a stream of events, which takes it.
---@return spate.Stream
function HttpResponse:events() end

---Lets go of it; harmless when done twice.
function HttpResponse:close() end
