-- SPDX-License-Identifier: MIT
-- What stands before servers: how it is known, and which of its settings mends what the doctor finds.
local proxies = {}

proxies.NAMES = { "nginx", "apache", "caddy", "haproxy", "traefik", "cloudflare", "aws" }
proxies.TITLES = { nginx = "nginx", apache = "Apache", caddy = "Caddy", haproxy = "HAProxy", traefik = "Traefik", cloudflare = "Cloudflare", aws = "AWS" }

local FIXES = {
  buffering = { -- Caddy passes events on at once by itself, unless it is told to collect
    nginx = "proxy_buffering off; proxy_http_version 1.1; or let the server's X-Accel-Buffering count: no proxy_ignore_headers for it",
    apache = "no output filter that collects (mod_ext_filter, mod_security's SecResponseBodyAccess), and ProxyPass ... flushpackets=on",
    caddy = "no buffer_responses (response_buffers since 2.7) in reverse_proxy",
    haproxy = "no `http-response wait-for-body`",
    traefik = "no buffering middleware at this router",
    cloudflare = "Response Buffering off for this path, and no cached or rewritten HTML there",
    aws = "API Gateway: response streaming (or an ALB in its place); Lambda: invoke mode RESPONSE_STREAM",
  },
  compression = {
    nginx = "gzip off; in its location, or gzip_types without text/event-stream and *",
    apache = "SetEnv no-gzip 1 in its <Location>, or no DEFLATE filter for text/event-stream",
    caddy = "encode { gzip match { header Content-Type text/html* } }, a line each, or whatever else is text, and no stream",
    haproxy = "compression type ... without text/event-stream",
    traefik = "compress: excludedContentTypes: [text/event-stream]",
    cloudflare = "a Compression Rule without compression for this path, or Cache-Control: no-transform from the server",
    aws = "CloudFront: Compress objects automatically: No, for this behavior",
  },
  idle = {
    nginx = "proxy_read_timeout 1h;",
    apache = "ProxyTimeout 3600, or ProxyPass ... timeout=3600",
    caddy = "reverse_proxy { transport http { read_timeout 1h } }, and no stream_timeout",
    haproxy = "timeout server 1h, and timeout client 1h",
    traefik = "entryPoints.NAME.transport.respondingTimeouts: writeTimeout: 0, readTimeout: 0",
    cloudflare = "ends what is silent for 120 s (long 100): have a comment come earlier (Enterprise: proxy_read_timeout)",
    aws = "ALB: idle_timeout.timeout_seconds=4000; CloudFront: a longer origin response timeout",
  },
  total = {
    nginx = "nothing of it ends a stream that speaks, but for proxy_buffering on: look behind it",
    apache = "no RequestReadTimeout or mod_ext filter that bounds the whole; ProxyTimeout above the comments' interval",
    caddy = "servers { timeouts { write 0 } }, and no stream_timeout",
    haproxy = "timeout server and timeout client above the comments' interval",
    traefik = "entryPoints.NAME.transport.respondingTimeouts.writeTimeout: 0",
    cloudflare = "no Worker with a limit in between",
    aws = "API Gateway ends all after 29 s: an ALB in its place; CloudFront: no response completion timeout",
  },
  last_event_id = {
    nginx = "no proxy_pass_request_headers off;, and no proxy_set_header Last-Event-ID but $http_last_event_id",
    apache = "no RequestHeader unset Last-Event-ID",
    caddy = "no header_up -Last-Event-ID",
    haproxy = "no http-request del-header last-event-id",
    traefik = "no customRequestHeaders that empty Last-Event-ID",
    cloudflare = "no Transform Rule that removes Last-Event-ID",
    aws = "CloudFront: an origin request policy with all viewer headers (AllViewer)",
  },
  http_version = {
    nginx = "listen 443 ssl; http2 on; (before 1.25.1: listen 443 ssl http2;)",
    apache = "Protocols h2 http/1.1 (mod_http2, with mpm_event)",
    caddy = "speaks HTTP/2 by itself where it has a certificate",
    haproxy = "bind :443 ssl crt FILE alpn h2,http/1.1",
    traefik = "speaks HTTP/2 by itself on an entry point with TLS",
    cloudflare = "Speed > Protocol Optimization: HTTP/2",
    aws = "an HTTPS listener of an ALB has it; CloudFront: HttpVersion: http2",
  },
  streams = {
    nginx = "limit_conn above what one page and its tabs open; worker_connections",
    apache = "MaxRequestWorkers, and mpm_event",
    caddy = "no limit of its own: look at what is behind it",
    haproxy = "maxconn of frontend, backend and server",
    traefik = "inFlightReq: amount",
    cloudflare = "no rate limiting rule that counts these",
    aws = "WAF: no rate-based rule that counts these",
  },
  leaving = {
    nginx = "proxy_ignore_client_abort off; without proxy_store and proxy_cache",
    apache = "hears of it when it writes next: have comments sent (keep_alive)",
    caddy = "no flush_interval -1: with it, it hears of it when it writes next",
    haproxy = "option abortonclose",
    traefik = "hangs up by itself: look at what is behind it",
    cloudflare = "hears of it when it writes next: have comments sent (keep_alive)",
    aws = "hears of it when it writes next: have comments sent (keep_alive)",
  },
  comments = {
    nginx = "proxy_buffering off;",
    apache = "ProxyPass ... flushpackets=on",
    caddy = "no buffer_responses (response_buffers since 2.7) in reverse_proxy",
    haproxy = "no `http-response wait-for-body`",
    traefik = "no buffering middleware at this router",
    cloudflare = "Response Buffering off for this path",
    aws = "API Gateway: response streaming",
  },
  cache = {
    nginx = "proxy_cache off; in its location",
    apache = "CacheDisable for its path",
    caddy = "no cache handler before it",
    haproxy = "no http-request cache-use for its path",
    traefik = "no caching plugin at this router",
    cloudflare = "a Cache Rule for this path: Bypass cache",
    aws = "CloudFront: the cache policy CachingDisabled",
  },
  headers = {
    nginx = "no proxy_hide_header, add_header and expires for these",
    apache = "no Header unset or set, and no ExpiresActive, for these",
    caddy = "no header or header_down that changes these",
    haproxy = "no http-response del-header or set-header for these",
    traefik = "no customResponseHeaders for these",
    cloudflare = "no Transform Rule, and Browser Cache TTL: Respect Existing Headers",
    aws = "CloudFront: no response headers policy that overrides these",
  },
}

-- Words of `Server` and `Via`, and fields of answers or of requests, that only one of them has.
local WORDS = { { "nginx", "nginx" }, { "openresty", "nginx" }, { "apache", "apache" }, { "caddy", "caddy" }, { "haproxy", "haproxy" },
  { "traefik", "traefik" }, { "cloudflare", "cloudflare" }, { "awselb", "aws" }, { "cloudfront", "aws" } }
local FIELDS = { { "cf-ray", "cloudflare" }, { "x-amz-cf-id", "aws" }, { "x-amzn-trace-id", "aws" }, { "x-amz-apigw-id", "aws" },
  { "x-forwarded-server", "traefik" } }

local function by_words(text)
  for _, row in ipairs(WORDS) do
    if text:lower():find(row[1], 1, true) then return row[2] end
  end
end

local function by_fields(fields)
  for _, row in ipairs(FIELDS) do
    if fields[row[1]] then return row[2] end
  end
end

-- The name of what answers for the server, or nil: by the answer's fields, and those of the request as the server saw it, if
-- it tells. Apache sends X-Forwarded-Server as Traefik does, and says who it is.
function proxies.detect(headers, seen)
  seen = seen or {}
  return by_words((headers.server or "") .. " " .. (headers.via or "")) or by_fields(headers) or by_words(seen.via or "") or by_fields(seen)
end

-- Of what was found, the setting of each proxy by its name; nil where no setting mends it.
function proxies.fixes(check) return FIXES[check] end

-- All names, that of the one which is there first.
function proxies.ordered(first)
  local list = { first }
  for _, name in ipairs(proxies.NAMES) do
    if name ~= first then list[#list + 1] = name end
  end
  return list
end

return proxies
