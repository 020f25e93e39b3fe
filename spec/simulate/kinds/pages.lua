-- SPDX-License-Identifier: MIT
-- What reads streams and generators in a handler: loops, one value, all in a list.
local says = require "spec.simulate.promises"

local kind = { weight = 1 }

function kind.random(r)
  local pause = r:pick { 0.1, 0.7 }
  return { pause = pause, wait = 5 * pause }
end

function kind.code(r)
  return ([[local pages = sse.wrap(function() for page = 1, 3 do sse.sleep(%g) coroutine.yield(page) end end)
  local sum = 0
  for page in pages do sum = sum + page end
  local ticks <close> = sse.interval(%g)
  local one, two = ticks:next(), nil
  for v in ticks do two = v break end
  local squares = sse.from(numbers(4)):map(function(v) return v * v end):collect()
  local last
  for v in sse.from(squares):chain(sse.once(7), sse.once(8)):each() do last = v end
  return ("pages %%s %%d %%d %%d %%d %%d %%s"):format(t, sum, one, two, #squares, last, sse.encode { event = "e", data = t })]]):format(r.pause, r.pause)
end

function kind.on_end(model, request, how, now)
  if how ~= "end" then return end
  model:expect(request.content == ("pages %s 6 1 2 4 8 event: e\ndata: %s\n\n"):format(request.token, request.token), says.VALUES, "%s: %q", request, request.content)
  model:expect(now >= request.sent_at + request.route.wait - 1e-6 or model:excused(request.sent_at, "jumped"), says.WAITS, "%s: after %.3f s", request, now - request.sent_at)
end

return kind
