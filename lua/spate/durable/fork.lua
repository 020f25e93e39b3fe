-- SPDX-License-Identifier: MIT
-- Forks of a stream of the Durable Streams protocol. A fork is a copy of what its source has up to an offset, in a channel of its own,
-- where the source's offsets go on meaning the same. A source that is deleted while it has forks keeps its name and nothing
-- else, until the last of them has gone.
local core = require "spate.core"
local json = require "spate.json"
local spate = require "spate"
local sse = require "spate.sse"
local stream = require "spate.durable.stream"

local FORKS = 1000        -- of a stream
local ANCESTORS = 32      -- whose offsets are known
local COPY_SECONDS = 600  -- that a copy may take
local AT_ONCE = 100       -- events that are copied without a break for others

local fork = {}

-- What a PUT asks for: false where that is no fork; nil and what is wrong.
function fork.wanted(req)
  local from, offset, sub = req.headers["Stream-Forked-From"], req.headers["Stream-Fork-Offset"], req.headers["Stream-Fork-Sub-Offset"]
  if not from then
    if offset or sub then return nil, "Stream-Forked-From is missing" end
    return false
  end
  if offset and not stream.id_of(offset) then return nil, "Stream-Fork-Offset is no offset" end
  if sub and (not (sub == "0" or sub:find "^[1-9]%d*$") or #sub > 15) then return nil, "Stream-Fork-Sub-Offset is no whole number" end
  if sub and sub ~= "0" and not offset then return nil, "Stream-Fork-Sub-Offset needs Stream-Fork-Offset" end
  return { from = from, offset = offset, sub = tonumber(sub or "0") }
end

-- The stream's path that Stream-Forked-From has, as the request's own is below `prefix`; nil where it is another's.
function fork.path_of(req, prefix, from)
  local _, last = req.path:find(prefix .. "/", 1, true)
  local base = last and req.path:sub(1, last)
  from = from:gsub("^%a[%w+.-]*://[^/]*", "")
  if not base or from:sub(1, #base) ~= base then return nil end
  return (from:sub(#base + 1):gsub("%%(%x%x)", function(hex) return string.char(tonumber(hex, 16)) end))
end

local function is_alive(store, source, path)
  local found = stream.find(store, path)
  return found and found.forked_from == source.channel_name and (not found.gone or fork.is_forked(store, found))
end

-- Whether a stream has forks.
function fork.is_forked(store, source)
  for _, path in ipairs(source.forks or {}) do
    if is_alive(store, source, path) then return true end
  end
  return false
end

-- A stream that was found, but for the name of one that was deleted and whose last fork has gone, which is free again.
function fork.current(store, found)
  if not found or not found.gone or fork.is_forked(store, found) then return found end
  store.streams:delete(found.path)
  fork.release(store, found)
  return nil
end

-- A fork has gone: its source's name may be free by that.
function fork.release(store, found)
  if found.source_path then fork.current(store, stream.find(store, found.source_path)) end
end

-- Deletes it, or all but its name.
function fork.delete(store, found)
  stream.discard(store, found.channel_name)
  if fork.is_forked(store, found) then
    found.gone = true
    return found:save()
  end
  store.streams:delete(found.path)
  fork.release(store, found)
end

local function add(store, source, path)
  local list, known = json.array(), false
  for _, one in ipairs(source.forks or {}) do
    if one == path then known = true end
    if #source.forks < FORKS or is_alive(store, source, one) then list[#list + 1] = one end
  end
  if not known then list[#list + 1] = path end
  if #list > FORKS then return nil, ("it has %d forks"):format(FORKS), 409 end
  source.forks = list
  if not known then
    local ok, why = source:save()
    if not ok then return nil, why, 503 end
  end
  return source
end

-- Makes it known to the source that there is, or will be, a fork at `path`: { source =, id = the id behind which it begins, or true };
-- nil, why not and the status. In the source's lock.
function fork.begin(store, source, path, fields)
  source = fork.current(store, source)
  if not source then return nil, "no such stream", 404 end
  if source.gone then return nil, "it was deleted", 409 end
  if fields.type and stream.kind_of(fields.type) ~= stream.kind_of(source.type) then return nil, "its type is " .. source.type, 409 end
  local newest = source:channel().handle:newest()
  local id = source:resolve(fields.fork.offset or stream.offset_of(newest))
  if id ~= true and tonumber(id:match "%d+$") > tonumber(newest:match "%d+$") then return nil, "no offset of the source", 400 end
  local ok, why, status = add(store, source, path)
  if not ok then return nil, why, status end
  return { source = source, id = id, sub = fields.fork.sub }
end

-- The first `count` bytes, or values, of a payload; nil where there are fewer.
local function cut(source, payload, count)
  if not source:is_json() then
    local bytes = core.base64_decode(payload, false, true)
    return count <= #bytes and core.base64(bytes:sub(1, count), false, true) or nil
  end
  local list, texts = json.decode("[" .. payload .. "]", { null = json.null }), {}
  if count > #list then return nil end
  for i = 1, count do texts[i] = json.encode(list[i]) end
  return table.concat(texts, ",")
end

-- Reads the source and publishes what belongs to the fork: true; nil, why not and the status.
local function copy(begun, sub, channel)
  local next_event, count = core.reader(sub), 0
  local is_there = begun.id == true
  while not is_there or begun.sub > 0 do
    local _, failure = core.replay(sub)
    if failure then return nil, failure, 503 end
    if core.waiting(sub) == 0 then return nil, is_there and "it has not so much behind the offset" or "no offset of the source", 400 end
    local event = next_event()
    count = count + 1
    if event.event == "reset" or tonumber(event.id:match "%d+$") ~= count then return nil, "its beginning is not kept any more", 410 end
    local payload = event.data
    if is_there then payload = cut(begun.source, payload, begun.sub) end
    if not payload then return nil, "it has not so much behind the offset", 400 end
    local id, why = channel:publish { data = payload }
    if not id then return nil, why, 503 end
    if is_there then break end
    is_there = event.id == begun.id
    if count % AT_ONCE == 0 then sse.sleep(0) end
  end
  return true
end

-- Copies: what there is to know of the fork, for stream.create; nil, why not and the status.
function fork.copy(store, begun)
  local source, name = begun.source, spate.uuid()
  local number = begun.id == true and 0 or tonumber(begun.id:match "%d+$")
  local ancestors = json.array { { epoch = source:channel().handle:newest():match "^(.+)%-", seq = number } }
  for i = 1, math.min(#(source.ancestors or {}), ANCESTORS - 1) do
    local one = source.ancestors[i]
    ancestors[#ancestors + 1] = { epoch = one.epoch, seq = math.min(one.seq, number) }
  end
  local channel, why, status = stream.open(store, name, core.wall() + COPY_SECONDS)
  if not channel then return nil, why, status end
  local sub
  sub, why = source:channel().handle:subscribe(nil, -1)
  if not sub then return nil, why, 503 end
  local _ <close> = setmetatable({}, { __close = function() sub:close() end })
  local ok
  ok, why, status = copy(begun, sub, channel)
  if not ok then
    stream.discard(store, name)
    return nil, why, status
  end
  return { channel_name = name, forked_from = source.channel_name, source_path = source.path, fork_at = number, fork_sub = begun.sub, ancestors = ancestors }
end

-- Whether a stream that is there is the fork that is asked for.
function fork.is_same(found, begun, fields)
  local number = begun.id == true and 0 or tonumber(begun.id:match "%d+$")
  return found.forked_from == begun.source.channel_name and found.fork_sub == begun.sub and (not fields.fork.offset or found.fork_at == number)
end

return fork
