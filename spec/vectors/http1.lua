-- Requests byte for byte, each with what a server must make of it whose app has GET / and POST / (both 200).
-- status: of the first response; next: of the one behind it, where there is one; close: the connection ends
-- after the last of them; body: what the app must have received. The outcome is the same however the bytes are
-- split. Limits are the defaults: head 16 KiB, target 8 KiB, 100 fields, body 1 MiB.
local vectors = {}

local function add(name, bytes, status, more)
  local v = { name = name, bytes = bytes, status = status, close = status >= 400 or nil }
  for key, value in pairs(more or {}) do v[key] = value end
  vectors[#vectors + 1] = v
end

local function get(fields) return "GET / HTTP/1.1\r\nHost: a\r\n" .. (fields or "") .. "\r\n" end
local function post(fields, body) return "POST / HTTP/1.1\r\nHost: a\r\n" .. fields .. "\r\n" .. (body or "") end
local function chunked(body) return post("Transfer-Encoding: chunked\r\n", body) end
local function sized(body) return post("Content-Length: " .. #body .. "\r\n", body) end
local function line(text) return text .. "\r\nHost: a\r\n\r\n" end

local CLOSE, OPEN = { close = true }, { close = false }

-- What is accepted ------------------------------------------------------------------------------------------
add("plain get", get(), 200, OPEN)
add("head", "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n", 200, OPEN)
add("query", line "GET /?a=1&b=%20 HTTP/1.1", 200)
add("unknown path", line "GET /x HTTP/1.1", 404, OPEN)
add("known method without a route", line "PUT / HTTP/1.1", 405, OPEN)
add("options *", line "OPTIONS * HTTP/1.1", 204, OPEN)
add("field without blanks", get "X:1\r\n", 200)
add("field with blanks and tabs around", get "X: \t 1 \t \r\n", 200)
add("empty value", get "X:\r\n", 200)
add("blank value", get "X: \t\r\n", 200)
add("obs-text in a value", get "X: \xff\xfe\xe9\r\n", 200)
add("every tchar in a name", get "!#$%&'*+-.^_`|~09azAZ: 1\r\n", 200)
add("fields in any case", "GET / HTTP/1.1\r\nhOsT: a\r\nCONNECTION: CLOSE\r\n\r\n", 200, CLOSE)
add("one empty line before", "\r\n" .. get(), 200)
add("two empty lines before", "\r\n\r\n" .. get(), 200)
add("content-length body", sized "hello", 200, { body = "hello" })
add("content-length 0", sized "", 200, { body = "" })
add("content-length with leading zeros", post("Content-Length: 0005\r\n", "hello"), 200, { body = "hello" })
add("content-length with trailing blanks", post("Content-Length: 5  \r\n", "hello"), 200, { body = "hello" })
add("content-length with a tab behind", post("Content-Length: 5\t\r\n", "hello"), 200, { body = "hello" })
add("content-length among tabs and blanks", post("Content-Length:\t 5 \t \t\r\n", "hello"), 200, { body = "hello" })
add("post without a length", post "", 200, { body = "" })
add("get with a body", "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc", 200)
add("body that looks like a request", sized(get()) .. get(), 200, { next = 200, body = get() })
add("body at the limit", sized(("x"):rep(1 << 20)), 200)
add("chunked", chunked "5\r\nhello\r\n0\r\n\r\n", 200, { body = "hello" })
add("chunked, capitals", post("TRANSFER-ENCODING: CHUNKED\r\n", "A\r\n0123456789\r\n0\r\n\r\n"), 200,
  { body = "0123456789" })
add("chunked, trailing blank", post("Transfer-Encoding: chunked \r\n", "0\r\n\r\n"), 200, { body = "" })
add("chunked, tab behind", post("Transfer-Encoding: chunked\t\r\n", "0\r\n\r\n"), 200, { body = "" })
add("chunked, empty", chunked "0\r\n\r\n", 200, { body = "" })
add("chunked, several", chunked "1\r\na\r\n2\r\nbc\r\n0d\r\ndefghijklmnop\r\n000\r\n\r\n", 200,
  { body = "abcdefghijklmnop" })
add("chunked, then a request", chunked "3\r\nabc\r\n0\r\n\r\n" .. get(), 200, { next = 200, body = "abc" })
add("chunk extensions", chunked "3;a=b;c\r\nabc\r\n0;z\r\n\r\n", 200, { body = "abc" })
add("quoted chunk extension", chunked "3;a=\"b\\\"\xe9;\tc\"\r\nabc\r\n0\r\n\r\n", 200, { body = "abc" })
for _, extension in ipairs { "a", "a=b", 'a=""', 'a="\t \\\\\\"\xff"', "a;b=c;d", "a ; b\t=\t\"c\" ;d", " a", "a = b", "!#$%&'*+-.^_`|~09azAZ" } do
  add(("chunk extension %q"):format(extension), chunked("3;" .. extension .. "\r\nabc\r\n0;" .. extension .. "\r\n\r\n"), 200,
    { body = "abc" })
end
add("16 digits of chunk size", chunked "0000000000000003\r\nabc\r\n0\r\n\r\n", 200, { body = "abc" })
add("chunked body at the limit", chunked("100000\r\n" .. ("x"):rep(1 << 20) .. "\r\n0\r\n\r\n"), 200)
add("1000 chunks", chunked(("1\r\na\r\n"):rep(1000) .. "0\r\n\r\n"), 200, { body = ("a"):rep(1000) })
add("two requests in one segment", get() .. get(), 200, { next = 200 })
add("three empty lines between two requests", get() .. "\r\n\r\n" .. get(), 200, { next = 200 })
add("1.0", "GET / HTTP/1.0\r\n\r\n", 200, CLOSE)
add("1.0 with host", line "GET / HTTP/1.0", 200, CLOSE)
add("1.0 keep-alive", "GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", 200, OPEN)
add("1.0 keep-alive and close", "GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n", 200, CLOSE)
add("1.0 proxy-connection", "GET / HTTP/1.0\r\nProxy-Connection: keep-alive\r\n\r\n", 200, CLOSE)
add("1.0 with a body", "POST / HTTP/1.0\r\nContent-Length: 3\r\n\r\nabc", 200, { body = "abc", close = true })
add("1.0 with expect", "POST / HTTP/1.0\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\nabc", 200, CLOSE)
add("host with port", "GET / HTTP/1.1\r\nHost: a.example:8080\r\n\r\n", 200)
add("host with an empty port", "GET / HTTP/1.1\r\nHost: a:\r\n\r\n", 200)
add("host with an escape", "GET / HTTP/1.1\r\nHost: a%41\r\n\r\n", 200)
for _, host in ipairs { "a:0", "a:65535", "a:00080", "azAZ09-._~!$&'()*+;=", "%4a%F0:80", "[::]", "[ab]", "[2001:DB8::9]:1", "[::1]:" } do
  add(("host %q, which is one"):format(host), "GET / HTTP/1.1\r\nHost: " .. host .. "\r\n\r\n", 200)
end
add("host of IPv6", "GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n", 200)
add("host of IPv4 in IPv6", "GET / HTTP/1.1\r\nHost: [::ffff:1.2.3.4]\r\n\r\n", 200)
add("absolute form", line "GET http://other/ HTTP/1.1", 200)
add("absolute form, https, port, query", line "GET HTTPS://other:444/?x HTTP/1.1", 200)
add("absolute form without a path", line "GET http://other HTTP/1.1", 200)
add("absolute form, query without a path", line "GET http://other?x HTTP/1.1", 200)
add("absolute form of options *", line "OPTIONS http://other HTTP/1.1", 204)
add("target at the limit", line("GET /?" .. ("x"):rep((8 << 10) - 2) .. " HTTP/1.1"), 200)
add("head at the limit", get("X: " .. ("x"):rep((16 << 10) - #get "X: \r\n") .. "\r\n"), 200)
add("100 fields", get(("X: 1\r\n"):rep(99)), 200)

-- Connection ------------------------------------------------------------------------------------------------
add("close", get "Connection: close\r\n", 200, CLOSE)
add("close with a tab behind", get "Connection: close\t\r\n", 200, CLOSE)
add("close among tokens", get "Connection: x, close , y\r\n", 200, CLOSE)
add("close among empty tokens", get "Connection: ,,\tclose\t,\r\n", 200, CLOSE)
add("close on a second line", get "Connection: keep-alive\r\nConnection: Close\r\n", 200, CLOSE)
add("no close within another token", get "Connection: closed, x-close\r\n", 200, OPEN)
add("close, then more bytes", get "Connection: close\r\n" .. "garbage", 200, CLOSE)
add("good request, then garbage", post "" .. "\0\1abcdef", 200, { next = 400, close = true })
add("upgrade to websocket is ignored", get "Connection: Upgrade\r\nUpgrade: websocket\r\n" .. get(), 200,
  { next = 200 })
add("upgrade to h2c is ignored", get "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n" .. get(), 200,
  { next = 200 })
add("upgrade with a body", post("Connection: upgrade\r\nUpgrade: x\r\nContent-Length: 3\r\n", "abc" .. get()), 200,
  { next = 200, body = "abc" })
add("expect continue", post("Content-Length: 3\r\nExpect: 100-Continue\r\n", "abc"), 100,
  { next = 200, body = "abc" })
add("expect continue without a body", get "Expect: 100-continue\r\n", 200, OPEN)
add("expect continue of an empty body", post "Content-Length: 0\r\nExpect: 100-continue\r\n", 200, OPEN)
add("expect continue over the limit", post "Content-Length: 2000000\r\nExpect: 100-continue\r\n", 413)
add("expect continue, chunked", post("Transfer-Encoding: chunked\r\nExpect: 100-continue\r\n", "3\r\nabc\r\n0\r\n\r\n"), 100,
  { next = 200, body = "abc" })
add("expect continue, a chunk over the limit", post("Transfer-Encoding: chunked\r\nExpect: 100-continue\r\n", "100001\r\n"),
  100, { next = 413, close = true })
add("expect continue of 2^64 - 1", post "Content-Length: 18446744073709551615\r\nExpect: 100-continue\r\n", 413)
add("expect nothing", get "Expect:\r\n", 417)
add("expect junk", get "Expect: junk\r\n", 417)
add("expect continue and junk", get "Expect: 100-continue\r\nExpect: junk\r\n", 417)
add("expect list", get "Expect: 100-continue, junk\r\n", 417)

-- Content-Length and Transfer-Encoding ----------------------------------------------------------------------
add("length and chunked", post("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"), 400)
add("chunked and length", post("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", "0\r\n\r\n"), 400)
add("same length twice", post("Content-Length: 3\r\nContent-Length: 3\r\n", "abc"), 400)
add("two lengths", post("Content-Length: 3\r\nContent-Length: 4\r\n", "abcd"), 400)
for _, length in ipairs { "3, 3", "3,3", "+3", "-3", "0x3", "1 0", "", "3;", "3.0", "\xc2\xa03", "3\xa0",
  "٣" } do
  add(("length %q"):format(length), post("Content-Length: " .. length .. "\r\n", "abc"), 400)
end
add("length behind two colons", post("Content-Length:: 3\r\n", "abc"), 400)
add("length above the limit", post "Content-Length: 1048577\r\n", 413)
add("length of 2^63", post "Content-Length: 9223372036854775808\r\n", 413)
add("length of 2^64 - 1", post "Content-Length: 18446744073709551615\r\n", 413)
add("length of 2^64", post "Content-Length: 18446744073709551616\r\n", 400)
add("length of 2^64 + 3", post("Content-Length: 18446744073709551619\r\n", "abc"), 400)
for _, coding in ipairs { "chunked, identity", "chunked, chunked", "xchunked", "chunkedx", "chunked;q=1",
  '"chunked"',
  "gzip", "gzip, chunked", "identity, chunked", ",chunked", "chunked,", "xyz,chunked", "identity", "",
  "chun\tked", "\vchunked", "chunked\0", "\xa0chunked" } do
  local status = coding:find "[\v\0]" and 400 or 501
  add(("coding %q"):format(coding), post("Transfer-Encoding: " .. coding .. "\r\n", "0\r\n\r\n"), status)
end
add("two codings", post("Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"), 501)
add("chunked twice", post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"), 501)
add("empty coding with a length", post("Transfer-Encoding:\r\nContent-Length: 3\r\n", "abc"), 400)
add("coding on 1.0", "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400)

-- Lines and fields ------------------------------------------------------------------------------------------
add("fold", get "X: a\r\n b\r\n", 400)
add("fold with a tab", get "X: a\r\n\tb\r\n", 400)
add("fold of a blank line", get "X: a\r\n \r\n", 400)
add("folded length", post("Content-Length:\r\n 3\r\n", "abc"), 400)
add("folded coding", post("Transfer-Encoding:\r\n chunked\r\n", "0\r\n\r\n"), 400)
add("folded connection", get "Connection:\r\n close\r\n", 400)
add("blank before the first field", "GET / HTTP/1.1\r\n Host: a\r\n\r\n", 400)
add("CR before a coding", post("X: \rTransfer-Encoding: chunked\r\n", "0\r\n\r\n"), 400)
add("head ended by CR and another byte", "GET / HTTP/1.1\r\nHost: a\r\n\rX", 400)
add("LF behind the request line", "GET / HTTP/1.1\nHost: a\r\n\r\n", 400)
add("LF behind a field", "GET / HTTP/1.1\r\nHost: a\n\r\n", 400)
add("LF as the last line", "GET / HTTP/1.1\r\nHost: a\r\n\n", 400)
add("LF everywhere", "GET / HTTP/1.1\nHost: a\n\n", 400)
add("LF before the request", "\n" .. get(), 400)
add("CR before the request", "\r" .. get(), 400)
add("CR in the request line", "GET /\r HTTP/1.1\r\nHost: a\r\n\r\n", 400)
add("CR in a value", get "X: a\rb\r\n", 400)
add("CR between fields", "GET / HTTP/1.1\r\nHost: a\rX: b\r\n\r\n", 400)
add("CR everywhere", "GET / HTTP/1.1\rHost: a\r\r", 400)
add("CR CR LF", "GET / HTTP/1.1\r\nHost: a\r\r\n\r\n", 400)
add("three empty lines before", "\r\n\r\n\r\n" .. get(), 400)
add("1 MiB of empty lines", ("\r\n"):rep(1 << 19), 400)
for _, field in ipairs { "X : 1", "X Y: 1", "X\t: 1", "X(y): 1", "\xe9: 1", "X\0: 1", "X", "X\r\n: 1",
  ": 1", ":",
  ":Transfer-Encoding: chunked", "X[]: 1", "X{}: 1", "X\x7f: 1", "X,Y: 1", '"X": 1', "X;: 1", "X@Y: 1", "X/Y: 1" } do
  add(("field %q"):format(field), get(field .. "\r\n"), 400)
end
for byte = 0, 127 do
  if byte < 32 and byte ~= 9 or byte == 127 then
    add(("value with byte %d"):format(byte), get("X: a" .. string.char(byte) .. "b\r\n"), 400)
    add(("target with byte %d"):format(byte), line("GET /a" .. string.char(byte) .. "b HTTP/1.1"), 400)
    if byte ~= 13 then add(("first byte %d"):format(byte), string.char(byte) .. get(), 400) end
  end
end
add("101 fields", get(("X: 1\r\n"):rep(100)), 431)
add("10000 fields", get(("X: 1\r\n"):rep(10000)), 431)
add("head above the limit", get("X: " .. ("x"):rep((16 << 10) + 1 - #get "X: \r\n") .. "\r\n"), 431)
add("1 MiB of a value", get("X: " .. ("x"):rep(1 << 20) .. "\r\n"), 431)
add("1 MiB of a name", get(("x"):rep(1 << 20) .. ": 1\r\n"), 431)

-- Host ------------------------------------------------------------------------------------------------------
add("no host", "GET / HTTP/1.1\r\n\r\n", 400)
add("no host with an absolute target", "GET http://a/ HTTP/1.1\r\n\r\n", 400)
add("two hosts", "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400)
add("same host twice", "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400)
add("two hosts on 1.0", "GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n", 400)
for _, host in ipairs { "", "a, b", "a,b", "a b", "a b/..@c", "a/b", "u@a", "a?b", "a#b", "a\\b",
  "a:99999", "a:65536",
  "a:000080", "[g1::2]", "[a]", "[:]", "[]:80", "[::1%1]", "a%4g", "a%g4", "a`", "a{", "a[b", "a}b", "a:65536", "a:+80", "a: 80", "a:b", "a:-1", "a:80:80", ":80", "[::1", "[]", "[::1]x", "[::1]:x", "[g]", "::1", "a%4", "a%zz", "<a>",
  '"a"',
  "a\xc3\xa9", "a^b", "a|b" } do
  add(("host %q"):format(host), "GET / HTTP/1.1\r\nHost: " .. host .. "\r\n\r\n", 400)
end

-- Request line ----------------------------------------------------------------------------------------------
for _, target in ipairs { "http://u@evil/", "http://u:p@evil/", "ftp://evil/", "http:///x", "http://",
  "http:/x", "http:x",
  "https://a,b/", "http://a:99999/", "*", "*/", "evil:80", "evil", "foo:bar", "?x", "#", "/#frag", "/?a#b",
  "http://a/#b", "http://a#b", "/\xc3\xa9", "/\xff", "ws://a/" } do
  add(("target %q"):format(target), line("GET " .. target .. " HTTP/1.1"), 400)
end
add("options of a path without a slash", line "OPTIONS x HTTP/1.1", 400)
add("connect", line "CONNECT a:80 HTTP/1.1" .. "tail", 405)
add("trace", line "TRACE / HTTP/1.1", 405)
-- Answered as any request: what follows is not in doubt.
for _, target in ipairs { "/%zz", "/%2", "/%", "/%00", "/a%00b", "/?" .. ("a&"):rep(200), "/?" .. ("&"):rep(4000) } do
  add(("target %q"):format(target:sub(1, 20)), line("GET " .. target .. " HTTP/1.1"), 400, OPEN)
end
for _, target in ipairs { "/%ff", "/%c3%a9", "/%01%7f%0a", "/a%ed%a0%80" } do
  add(("target %q"):format(target), line("GET " .. target .. " HTTP/1.1"), 404, OPEN)
end
add("200 query pairs", line("GET /?" .. ("a=1&"):rep(199) .. "a=1 HTTP/1.1"), 200, OPEN)
add("odd query pairs", line "GET /?=x&&&a&a[b]=+&%zz&?=?# HTTP/1.1", 400)
add("odd query pairs without a fragment", line "GET /?=x&&&a&a[b]=+&%zz&?=? HTTP/1.1", 200, OPEN)
add("target above the limit", line("GET /?" .. ("x"):rep((8 << 10) - 1) .. " HTTP/1.1"), 414)
add("1 MiB of target", line("GET /" .. ("x"):rep(1 << 20) .. " HTTP/1.1"), 414)
for _, method in ipairs { "get", "Get", "gET", "!#$%&'*+-.^_`|~" } do
  add("method " .. method, line(method .. " / HTTP/1.1"), 501, OPEN) -- tokens, and their case counts
end
for _, method in ipairs { "G(T", "G\tT", "G\xe9T", "G:T", "\x16\x03\x01" } do
  add(("method %q"):format(method), line(method .. " / HTTP/1.1"), 400)
end
for _, method in ipairs { "FOO", "GETX", "GE", "PURGE", "M-SEARCH", "PROPFIND", "SOURCE", "DESCRIBE",
  "LINK", "QUERY", "PRI",
  ("X"):rep(24), ("X"):rep(25), ("X"):rep(1 << 20) } do
  add("method " .. method:sub(1, 26), line(method .. " / HTTP/1.1"), 501, #method <= 24 and OPEN or nil)
end
add("nearly the preface of HTTP/2", "PRI * HTTP/2.0\r\n\r\nSN\r\n\r\n", 505)
add("icecast", line "SOURCE /x ICE/1.0", 400)
add("icecast get", line "GET / ICE/1.0", 400)
add("rtsp", line "DESCRIBE rtsp://a/ RTSP/1.0", 400)
add("rtsp setup over http", line "SETUP / HTTP/1.1", 501, OPEN)
add("0.9", "GET /\r\n", 400)
add("0.9 with a blank", "GET / \r\n", 400)
for _, version in ipairs { "HTTP/0.9", "HTTP/2.0", "HTTP/2.1", "HTTP/3.0", "HTTP/9.9", "HTTP/0.0" } do
  add("version " .. version, line("GET / " .. version), 505)
end
add("version HTTP/1.2", line "GET / HTTP/1.2", 200, OPEN) -- is 1.1 to a server of 1.1 (RFC 9110 2.5)
add("version HTTP/1.9, chunked", "POST / HTTP/1.9\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n" .. get(), 200,
  { next = 200, body = "a" })
add("version HTTP/1.2 without a host", "GET / HTTP/1.2\r\n\r\n", 400)
for _, version in ipairs { "HTTP/1.10", "HTTP/11.1", "http/1.1", "HTTP/1", "HTTP/1.", "HTTP/.1",
  "HTTP/1,1", "HTTP/1.1 ",
  "HTTP/1.1\t", "HTTP /1.1", "HTTP/ 1.1", "HTTPS/1.1", "XTTP/1.1", "HTTP/1.x", "HTTP/x.1", "HTTP/+1.1" } do
  add(("version %q"):format(version), line("GET / " .. version), 400)
end
add("two blanks before the target", line "GET  / HTTP/1.1", 400)
add("two blanks before the version", line "GET /  HTTP/1.1", 400)
add("tab before the target", line "GET\t/ HTTP/1.1", 400)
add("tab before the version", line "GET /\tHTTP/1.1", 400)
add("blank before the method", " " .. get(), 400)
add("blank in the target", line "GET /a b HTTP/1.1", 400)
add("no target", line "GET HTTP/1.1", 400)
add("no method", line "/ HTTP/1.1", 400)
add("tls hello", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400)
add("proxy protocol 1", "PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n" .. get(), 400)
add("proxy protocol 2", "\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c", 400)

-- Chunks ----------------------------------------------------------------------------------------------------
for _, size in ipairs { "-3", "0x3", "+3", "1_0", "3 ", " 3", "3\t", "", ";a=b", "g", "3g",
  "00000000000000003",
  ("0"):rep(200) .. "3", "3 ;a", "3\n", "3\r", "\n3", "3,", "3\0" } do
  add(("chunk size %q"):format(size), chunked(size .. "\r\nabc\r\n0\r\n\r\n"), 400)
end
add("chunk size ended by LF", chunked "3\nabc\r\n0\r\n\r\n", 400)
add("chunk size ended by CR and another byte", chunked "3\rXabc\r\n0\r\n\r\n", 400)
add("chunk of 2^64 - 1", chunked "ffffffffffffffff\r\nabc", 413)
add("chunk of 2^63", chunked "8000000000000000\r\nabc", 413)
add("chunk above the limit", chunked "100001\r\n", 413)
add("chunks above the limit", chunked "1\r\na\r\n100000\r\n", 413)
add("sizes that overflow together", chunked "1\r\na\r\nffffffffffffffff\r\n", 413)
add("chunk data ended by other bytes", chunked "3\r\nabcXX0\r\n\r\n", 400)
add("chunk data ended by LF", chunked "3\r\nabc\n0\r\n\r\n", 400)
add("chunk data ended by CR and another byte", chunked "3\r\nabc\rX0\r\n\r\n", 400)
add("chunk data longer than its size", chunked "3\r\nabcd\r\n0\r\n\r\n", 400)
add("extensions at the limit", chunked("3;" .. ("x"):rep(16 << 10) .. "\r\nabc\r\n0\r\n\r\n"), 200, { body = "abc" })
add("extensions above the limit", chunked("3;" .. ("x"):rep((16 << 10) + 1) .. "\r\nabc\r\n0\r\n\r\n"), 413)
add("1 MiB of extension", chunked("3;" .. ("x"):rep(1 << 20) .. "\r\nabc\r\n0\r\n\r\n"), 413)
add("small chunks with extensions", chunked(("1;" .. ("x"):rep(100) .. "\r\na\r\n"):rep(200) .. "0\r\n\r\n"), 413)
for _, byte in ipairs { "\n", "\r", "\0", "\1", "\x7f" } do
  add(("chunk extension with %q"):format(byte), chunked("3;a" .. byte .. "b\r\nabc\r\n0\r\n\r\n"), 400)
end
for _, extension in ipairs { "", ";", "=x", " ", "a;", "a;;b", "a=", "a=;b", "a==b", 'a="b', 'a="b\\', 'a="b\\"', 'a="b"c', 'a="b" c',
  "a b", "a=b c", "a=b ", "a ", '"a"', 'a="b"=c', "a=b=c", "a,b", "a=b,c", "(a)", "\xe9", "a=\xe9", "a;", "a; " } do
  add(("malformed chunk extension %q"):format(extension), chunked("3;" .. extension .. "\r\nabc\r\n0\r\n\r\n"), 400)
  add(("malformed chunk extension %q of the last chunk"):format(extension), chunked("0;" .. extension .. "\r\n\r\n"), 400)
end
for _, trailer in ipairs { "Host: evil", "Authorization: x", "Connection: close", "Transfer-Encoding-X: chunked", "X: 1", "X:", "X: \t1 \xff\t" } do
  add(("trailer %q"):format(trailer), chunked("1\r\na\r\n0\r\n" .. trailer .. "\r\n\r\n" .. get()), 200, { next = 200, body = "a" })
end
-- Some parsers believe a length that stands there.
for _, trailer in ipairs { "Content-Length: 3", "Transfer-Encoding: chunked", "TRANSFER-ENCODING:", "X: 1\r\ncontent-length:0", "X", " ", ":", "X : 1", ": 1", " X: 1", "X: a\rb", "X: a\nb", "X: a\0b", "X: 1\r\n folded", "\nX: 1" } do
  add(("trailer %q"):format(trailer), chunked("0\r\n" .. trailer .. "\r\n\r\n"), 400)
end
add("100 trailers", chunked("0\r\n" .. ("X: 1\r\n"):rep(100) .. "\r\n"), 200, { body = "" })
add("101 trailers", chunked("0\r\n" .. ("X: 1\r\n"):rep(101) .. "\r\n"), 431)
add("5000 trailers", chunked("0\r\n" .. ("X: 1\r\n"):rep(5000) .. "\r\n"), 431)
add("trailers at the limit", chunked("0\r\nX: " .. ("x"):rep((16 << 10) - 7) .. "\r\n\r\n"), 200, { body = "" })
add("trailers above the limit", chunked("0\r\nX: " .. ("x"):rep((16 << 10) - 6) .. "\r\n\r\n"), 431)
add("1 MiB of a trailer", chunked("0\r\nX: " .. ("x"):rep(1 << 20) .. "\r\n\r\n"), 431)
add("trailer ended by LF", chunked "0\r\nX: 1\n\r\n", 400)
add("trailers ended by LF", chunked "0\r\nX: 1\r\n\n", 400)
add("LF behind the last chunk", chunked "0\r\n\n", 400)
add("LF behind the last size", chunked "0\n\r\n", 400)
add("CR and another byte behind the last chunk", chunked "0\r\n\rX", 400)
add("smuggled request behind the last chunk", chunked("0\r\n" .. get()), 400)

-- What they are sent to.
vectors.APP = [[
app:get("/", function(req) return reply.text "here" end)
app:post("/", function(req)
  local body, err = req:body()
  if not body then return reply.error(500, err) end
  return reply.text(body)
end)
]]

for _, v in ipairs(vectors) do
  v.is_head = v.bytes:find "^HEAD " ~= nil
  -- A body that the handler does not ask for and that may still be on its way ends the connection.
  v.is_unread = v.bytes:find "^GET [^\r\n]+\r\nHost: a\r\nContent%-Length" ~= nil
end

return vectors
