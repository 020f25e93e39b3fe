---@meta
-- SPDX-License-Identifier: MIT
-- Types for editors: protocols upon event streams. types.lua says how they are used.

---@class spate.DatastarOptions
---@field id? string|number
---@field retry? number seconds

---@class spate.DatastarElementOptions: spate.DatastarOptions
---@field selector? string where; the ids of the elements unless given
---@field mode? "outer"|"inner"|"replace"|"prepend"|"append"|"before"|"after"|"remove"
---@field namespace? "html"|"svg"|"mathml"
---@field use_view_transition? boolean

---@class spate.DatastarSignalOptions: spate.DatastarOptions
---@field only_if_missing? boolean

---@class spate.DatastarScriptOptions: spate.DatastarOptions
---@field auto_remove? boolean true unless given
---@field attributes? table<string, string|number>|string[]

---@class spate.datastar
local datastar = {}

---Elements that take the place of those with their ids, or go where selector and mode say.
---@param html string
---@param options? spate.DatastarElementOptions
---@return spate.fields
function datastar.patch_elements(html, options) end

---Removes the elements of a selector from the page.
---@param selector string
---@param options? { use_view_transition?: boolean, id?: string|number, retry?: number }
---@return spate.fields
function datastar.remove_elements(selector, options) end

---A table, or JSON as a text; json.null removes a signal.
---@param signals table|string
---@param options? spate.DatastarSignalOptions
---@return spate.fields
function datastar.patch_signals(signals, options) end

---Removes signals from the page.
---@param names string|string[] "user.name" is within "user"
---@param options? spate.DatastarSignalOptions
---@return spate.fields
function datastar.remove_signals(names, options) end

---Runs a script in the page.
---@param script string
---@param options? spate.DatastarScriptOptions
---@return spate.fields
function datastar.execute_script(script, options) end

---The signals that the page has sent; nil and what is wrong with them.
---@param req spate.Request
---@return table? signals
---@return string? err
function datastar.read_signals(req) end

---@class spate.McpServerOptions
---@field name string
---@field version? string
---@field title? string
---@field instructions? string for the client's model
---@field ttl? number seconds without a request until a session ends: 3600
---@field hosts? string[] names under which it is asked for from this machine, beside localhost
---@field origins? string[] of pages in browsers that may use it, beside its own

---@class spate.mcp
local mcp = {}

---A server of tools, resources and prompts.
---@param options spate.McpServerOptions
---@return spate.McpServer
function mcp.server(options) end

---An image as what a tool returns.
---@param bytes string
---@param type string "image/png"
---@return table item of content
function mcp.image(bytes, type) end

---A sound as what a tool returns.
---@param bytes string
---@param type string "audio/wav"
---@return table item of content
function mcp.audio(bytes, type) end

---A resource as what a tool returns.
---@param uri string
---@param value string text or bytes
---@param type? string
---@return table item of content
function mcp.resource(uri, value, type) end

---@class spate.McpToolOptions
---@field title? string
---@field description? string for the client's model
---@field input? table JSON schema of the arguments
---@field output? table JSON schema of structured content
---@field annotations? table

---@class spate.McpResourceOptions
---@field name? string
---@field title? string
---@field description? string
---@field type? string "text/plain"
---@field annotations? table
---@field complete? table<string, fun(value: string, others: table<string, string>, call: spate.McpCall): string[]>

---@class spate.McpPromptOptions
---@field title? string
---@field description? string
---@field arguments? { name: string, description?: string, required?: boolean }[]
---@field complete? table<string, fun(value: string, others: table<string, string>, call: spate.McpCall): string[]>

---@class spate.McpServer
local McpServer = {}

---A text, an item of content or a list of them, any other table as structured content; nil and a message where it failed.
---@param name string
---@param options spate.McpToolOptions
---@param fn fun(arguments: table, call: spate.McpCall): any, string?
---@return spate.McpServer
function McpServer:tool(name, options, fn) end

---What clients may read, by its URI.
---@param uri string or a template, "notes://{id}", "files:///{+path}"
---@param options spate.McpResourceOptions
---@param fn fun(uri: string, values: table<string, string>, call: spate.McpCall): string?, string?
---@return spate.McpServer
function McpServer:resource(uri, options, fn) end

---A prompt, which a client asks for by its name.
---@param name string
---@param options spate.McpPromptOptions
---@param fn fun(arguments: table<string, string>, call: spate.McpCall): any, string?
---@return spate.McpServer
function McpServer:prompt(name, options, fn) end

---Tells who has subscribed to a resource that it has changed.
---@param uri string
---@return true? ok
---@return string? why
function McpServer:updated(uri) end

---Serves it at a path of an application.
---@param app spate.App
---@param path string
---@return spate.McpServer
function McpServer:serve(app, path) end

---A request that a function of yours answers.
---@class spate.McpCall
---@field ctx table the request's
local McpCall = {}

---Tells the client how far the call is.
---@param done number
---@param total? number
---@param message? string
---@return true? ok
---@return string? why
function McpCall:progress(done, total, message) end

---A line of the log for the client.
---@param level "debug"|"info"|"notice"|"warning"|"error"|"critical"|"alert"|"emergency"
---@param data any
---@param logger? string
---@return true? ok
---@return string? why
function McpCall:log(level, data, logger) end

---Sends the client a notification.
---@param method string
---@param params? table
---@return true? ok
---@return string? why
function McpCall:notify(method, params) end

---Asks the client: its result; nil, a message, and "timeout", "closed", "unsupported" or its error's code.
---@param method string
---@param params? table
---@param options? { timeout?: number }
---@return table? result
---@return string? message
---@return string|integer|nil code
function McpCall:request(method, params, options) end

---Asks the user by a form.
---@param message string
---@param schema table JSON schema
---@param options? { timeout?: number }
---@return { action: "accept"|"decline"|"cancel", content: table }? answer
---@return string? message
---@return string|integer|nil code
function McpCall:elicit(message, schema, options) end

---Asks the client's model: the parameters of sampling/createMessage.
---@param params table
---@param options? { timeout?: number }
---@return table? result
---@return string? message
---@return string|integer|nil code
function McpCall:sample(params, options) end

---The folders that the client lets it see.
---@param options? { timeout?: number }
---@return { roots: table[] }? result
---@return string? message
---@return string|integer|nil code
function McpCall:roots(options) end

---Hangs up; the client comes back for the rest after so many seconds.
---@param seconds? number
function McpCall:release(seconds) end

---@class spate.MercureKey
---@field key string
---@field alg? string "HS256" unless given

---@class spate.MercureOptions: spate.MercureKey
---@field name? string hubs of one name are one
---@field publisher? spate.MercureKey of tokens that publish, in place of key
---@field subscriber? spate.MercureKey of tokens that read, in place of key
---@field anonymous? boolean whether public updates can be read without a token
---@field subscriptions? boolean whether there is a list of subscriptions, and updates of them
---@field history? integer updates that are kept: 1000
---@field ttl? number seconds
---@field cookie? string "mercureAuthorization" unless given
---@field query? string a parameter that tokens may be in
---@field origins? string[] of pages that may publish by a cookie, beside its own

---@class spate.mercure
local mercure = {}

---A hub of the Mercure protocol.
---@param options spate.MercureOptions
---@return spate.MercureHub
function mercure.hub(options) end

---Whether a selector ("*", a topic, a URI template) means a topic.
---@param selector string
---@param topic string
---@return boolean
function mercure.matches(selector, topic) end

---@class spate.MercureHub
local MercureHub = {}

---Publishes an update, without a token; returns its id.
---@param update { topic: string|string[], data?: string|number, type?: string, private?: boolean, retry?: number, id?: string }
---@return string|true|nil id
---@return string? why
function MercureHub:publish(update) end

---Serves it at a path of an application.
---@param app spate.App
---@param path? string "/.well-known/mercure" unless given
---@return spate.MercureHub
function MercureHub:serve(app, path) end

---Middleware: answers name the hub, and the topic of what they show.
---@param options? { url?: string, topic?: string|fun(req: spate.Request): string? }
---@return spate.middleware
function MercureHub:link(options) end

---@class spate.DurableOptions
---@field name? string streams of one name are the same
---@field poll? number seconds of a long poll: 20
---@field authorize? fun(req: spate.Request, path: string, action: "create"|"append"|"read"|"delete"): boolean|spate.Reply
---@field origin? string of pages that may read: "*"
---@field appends? integer that are kept of a stream: 100000
---@field bytes? integer that are kept of a stream: 256 MiB
---@field streams? integer how many there are at most: 10000

---@class spate.durable
local durable = {}

---Durable Streams, each kept in a channel.
---@param options? spate.DurableOptions
---@return spate.DurableStreams
function durable.streams(options) end

---@class spate.DurableStreams
local DurableStreams = {}

---Serves them below a path of an application.
---@param app spate.App
---@param prefix string
---@return spate.DurableStreams
function DurableStreams:serve(app, prefix) end
