-- SPDX-License-Identifier: MIT
-- What one look at a stream tells: its times, its head, its certificate. Each check adds to the findings.
local Findings = require "spate.doctor.findings"

local checks = {}

local duration = Findings.duration
local SLOW, SOON_SECONDS = 2, 30 * 86400

function checks.times(findings, look)
  findings:add("head", look.head > SLOW and "note" or "ok", ("came after %s"):format(duration(look.head)), look.head, false)
  local first = look.items[1]
  if not first then
    findings:add("first_event", "note", ("none within %s: whether something holds it back cannot be told"):format(duration(look.ended)), nil, false)
    return
  end
  local is_late = first.at > SLOW
  local with_head = is_late and first.at - look.head < 0.02 and look.head > SLOW and ", together with the head: held back, or made late" or ""
  findings:add("first_event", is_late and "note" or "ok", ("came after %s%s"):format(duration(first.at), with_head), first.at,
    with_head ~= "" and "buffering")
end

local function field(look, name) return (look.headers[name] or ""):lower() end

-- `greeting`: that of spate.doctor, whose server sends the right ones.
function checks.headers(findings, look, greeting)
  local wrong, notes = {}, {}
  local is_uncached = field(look, "cache-control"):find "no%-cache" or field(look, "cache-control"):find "no%-store"
  if not is_uncached then
    local said = look.headers["cache-control"] or "there is none"
    table.insert(greeting and wrong or notes, ("Cache-Control says neither no-cache nor no-store (%s)"):format(said))
  end
  if look.headers["content-length"] then wrong[#wrong + 1] = "Content-Length: a stream has no length, so something has collected it" end
  local charset = field(look, "content-type"):match "charset=\"?([%w-]+)"
  if charset and charset ~= "utf-8" then wrong[#wrong + 1] = ("Content-Type says charset=%s: browsers refuse all but utf-8"):format(charset) end
  if not greeting and not look.headers["x-accel-buffering"] and not field(look, "server"):find "nginx" then
    notes[#notes + 1] = "no X-Accel-Buffering: no, so an nginx before it would collect what it sends"
  end
  if #wrong > 0 then findings:add("headers", "wrong", table.concat(wrong, "; ")) end
  if #notes > 0 then findings:add("headers", "note", table.concat(notes, "; "), nil, false) end
  if #wrong + #notes == 0 then findings:add("headers", "ok", "Content-Type and Cache-Control are right") end
end

function checks.cache(findings, look)
  local age, hit = tonumber(look.headers.age or ""), field(look, "x-cache"):find "hit" or field(look, "cf-cache-status") == "hit"
  if age and age > 0 or hit then
    findings:add("cache", "wrong", ("a cache has answered (%s)"):format(age and "Age: " .. look.headers.age or "a hit"))
  end
end

function checks.http_version(findings, look)
  local version = look.version
  if version == "1.0" then
    findings:add("http_version", "wrong", "HTTP/1.0: each stream is the end of its connection, and may be collected on its way")
  elseif version == "1.1" then
    findings:add("http_version", "note", "HTTP/1.1: a browser opens six connections to a site, and its seventh stream waits; HTTP/2 has one for all")
  else
    findings:add("http_version", "ok", ("HTTP/%s: all streams of a browser share one connection"):format(version))
  end
end

-- `refused`: why the first connection was not made. `now`: as of os.time.
function checks.certificate(findings, certificate, refused, now)
  if refused then
    findings:add("certificate", "wrong", refused)
    return
  end
  if not certificate then return end
  local left = certificate.ends and certificate.ends - now
  local who = ("of %s, by %s"):format(certificate.subject, certificate.issuer)
  if left and left < SOON_SECONDS then
    findings:add("certificate", "note", ("%s, ends in %d days"):format(who, left // 86400), left)
  else
    findings:add("certificate", "ok", left and ("%s, for %d more days"):format(who, left // 86400) or who, left)
  end
end

-- Whom the server takes for its client: behind a proxy it should be who has asked that.
function checks.address(findings, greeting)
  local fields = greeting.fields or {}
  local forwarded = fields["x-forwarded-for"]
  if not forwarded then return end
  local last = forwarded:match "([^,%s]+)%s*$"
  if last == greeting.remote then
    findings:add("address", "ok", ("the server knows that its client is %s"):format(last))
  else
    findings:add("address", "note", ("the server takes %s for its client, and not %s, as X-Forwarded-For says: name the proxy in the setting trusted_proxies")
      :format(greeting.remote, last))
  end
end

return checks
