#!lua name=spate_VERSION
-- SPDX-License-Identifier: MIT
-- What a Redis server does for channels and dictionaries, each in one step. VERSION is a hash of all this text, so that nodes of
-- two releases share a server, each with functions of its own. Loaded by redis_store.c; keys as client/redis_record.h names them. None is
-- marked as without writes, though some only read: so a replica refuses them all, which has not what its master has.

local function define(name, fn, flags)
  redis.register_function { function_name = "spate_VERSION_" .. name, callback = fn, flags = flags or {} }
end

local READING = { "allow-oom" }

-- Keeps what a channel has for `ttl` milliseconds from now on (0: always); touched once in half of that time.
local function keep(stream, meta, ttl)
  ttl = tonumber(ttl)
  if ttl > 0 and redis.call("PTTL", stream) < ttl / 2 then
    redis.call("PEXPIRE", stream, ttl)
    redis.call("PEXPIRE", meta, ttl)
  end
end

local function now()
  local t = redis.call("TIME")
  return t[1] * 1000 + math.floor(t[2] / 1000)
end

local function newest(stream)
  local last = redis.call("XREVRANGE", stream, "+", "-", "COUNT", 1)[1]
  return last and last[1] or ""
end

-- Microseconds since 1970, and above all that was. A double holds them whole.
local function new_epoch(stream, before)
  local t = redis.call("TIME")
  local epoch, last = t[1] * 1000000 + t[2], newest(stream)
  local old = math.max(tonumber(before or 0), tonumber(string.match(last, "^%d+") or 0))
  return string.format("%.0f", epoch > old and epoch or old + 1)
end

-- Numbers an event, keeps it and publishes it: its id; false where the channel has ended. What was numbered under another
-- replication id, by this server before it restarted or by the master before it, may be lost there, and its numbers with
-- it: the next are of a new epoch.
local function append(stream, meta, max, ttl, bytes)
  local master = string.match(redis.call("INFO", "replication"), "master_replid:(%x+)")
  local known = redis.call("HMGET", meta, "r", "e", "f")
  if known[3] then return false end
  local id
  if known[1] == master and redis.call("EXISTS", stream) == 1 then
    id = known[2] .. "-*"
  else
    local epoch = new_epoch(stream, known[2])
    redis.call("HSET", meta, "r", master, "e", epoch)
    id = epoch .. "-1"
  end
  id = redis.call("XADD", stream, "MAXLEN", "~", max, id, "b", bytes)
  redis.call("SPUBLISH", stream, "E" .. id .. " " .. bytes)
  keep(stream, meta, ttl)
  return id
end

-- keys: stream, meta; arguments: how many to keep, ttl, the event
define("append", function(keys, args)
  return append(keys[1], keys[2], args[1], args[2], args[3])
end)

-- The same, and the channel ends; an empty event is none. The id of the last.
define("finish", function(keys, args)
  local stream, meta = keys[1], keys[2]
  if redis.call("HEXISTS", meta, "f") == 1 then return false end
  local id = args[3] ~= "" and append(stream, meta, args[1], args[2], args[3]) or newest(stream)
  redis.call("HSET", meta, "f", 1)
  keep(stream, meta, args[2])
  redis.call("SPUBLISH", stream, "F" .. id)
  return id
end)

local PAGE_BYTES, CHUNK_FIRST, CHUNK_MAX = 256 * 1024, 2, 16

-- keys: stream; arguments: where to begin (inclusive), how many. The newest id, then ids and events by turns: so many, or as
-- many as make up a page's bytes. Large events are read by twos, so that a page of them is none that holds others up; and two at
-- least, as the first is one that is known already.
local function page(stream, from, count)
  local answer, bytes, left, chunk = { newest(stream) }, 0, tonumber(count), CHUNK_FIRST
  while left > 0 and bytes < PAGE_BYTES do
    local entries = redis.call("XRANGE", stream, from, "+", "COUNT", math.min(chunk, left))
    for _, entry in ipairs(entries) do
      answer[#answer + 1] = entry[1]
      answer[#answer + 1] = entry[2][2]
      bytes = bytes + #entry[2][2]
    end
    if #entries < math.min(chunk, left) then break end
    from, left, chunk = "(" .. entries[#entries][1], left - #entries, math.min(2 * chunk, CHUNK_MAX)
  end
  return answer
end

-- Where the newest so many begin. Numbers of an epoch have no gap, so that what lies between need not be read.
local function tail_of(stream, count)
  local before = "+"
  while true do
    local last = redis.call("XREVRANGE", stream, before, "-", "COUNT", 1)[1]
    if not last then return "-" end
    local epoch, seq = string.match(last[1], "^(%d+)-(%d+)$")
    if tonumber(seq) >= count then return epoch .. "-" .. string.format("%.0f", seq - count + 1) end
    count, before = count - seq, "(" .. epoch .. "-0"
  end
end

define("read", function(keys, args) return page(keys[1], args[1], args[2]) end, READING)

-- The same, beginning with the newest so many.
define("tail", function(keys, args) return page(keys[1], tail_of(keys[1], tonumber(args[1])), args[2]) end, READING)

-- A member is there once, however many nodes have it: `members` has { how many, the how-manieth that came, what it brought
-- along, what is published when it goes }; `present` has each node's until when it is so.
local function leave(keys, max, ttl, member)
  local stream, meta, present, members = keys[1], keys[2], keys[3], keys[4]
  if redis.call("ZREM", present, member) == 0 then return end
  local id = string.match(member, "^%S+ (.*)$")
  local kept = redis.call("HGET", members, id)
  if not kept then return end
  kept = cmsgpack.unpack(kept)
  kept[1] = kept[1] - 1
  if kept[1] > 0 then
    redis.call("HSET", members, id, cmsgpack.pack(kept))
  else
    redis.call("HDEL", members, id)
    append(stream, meta, max, ttl, kept[4])
  end
end

-- Members whose nodes have not been heard of.
local function sweep(keys, max, ttl)
  for _, member in ipairs(redis.call("ZRANGEBYSCORE", keys[3], "-inf", now(), "LIMIT", 0, 1000)) do
    leave(keys, max, ttl, member)
  end
end

-- keys: stream, meta, present, members; arguments: how many to keep, ttl, the node, for how many milliseconds, then of each
-- member: id, what it brings along, the events of its coming and going.
define("join", function(keys, args)
  local stream, meta, present, members = keys[1], keys[2], keys[3], keys[4]
  local max, ttl, node, lease = args[1], args[2], args[3], tonumber(args[4])
  sweep(keys, max, ttl)
  for i = 5, #args, 4 do
    local id = args[i]
    if redis.call("ZADD", present, now() + lease, node .. " " .. id) == 1 then
      local kept = redis.call("HGET", members, id)
      kept = kept and cmsgpack.unpack(kept) or { 0, redis.call("HINCRBY", meta, "o", 1), args[i + 1], args[i + 3] }
      kept[1] = kept[1] + 1
      redis.call("HSET", members, id, cmsgpack.pack(kept))
      if kept[1] == 1 then append(stream, meta, max, ttl, args[i + 2]) end
    end
  end
  local rest = math.max(2 * lease, tonumber(ttl))
  redis.call("PEXPIRE", present, rest)
  redis.call("PEXPIRE", members, rest)
  return newest(stream)
end)

-- keys: the same; arguments: how many to keep, ttl, the node, the id of a member.
define("leave", function(keys, args)
  leave(keys, args[1], args[2], args[3] .. " " .. args[4])
  return newest(keys[1])
end)

-- keys: the same; arguments: how many to keep, ttl. Ids and what they brought along by turns, in the order of coming.
define("members", function(keys, args)
  sweep(keys, args[1], args[2])
  local list, flat, answer = {}, redis.call("HGETALL", keys[4]), {}
  for i = 1, #flat, 2 do
    local kept = cmsgpack.unpack(flat[i + 1])
    list[#list + 1] = { kept[2], flat[i], kept[3] }
  end
  table.sort(list, function(a, b) return a[1] < b[1] end)
  for _, one in ipairs(list) do
    answer[#answer + 1] = one[2]
    answer[#answer + 1] = one[3]
  end
  return answer
end)

-- Subscribers on other nodes; notes those of this one, for as long as that is heard of.
local function count(counts, node, own, lease)
  local at, others = now(), 0
  local flat, kept = redis.call("HGETALL", counts), nil
  for i = 1, #flat, 2 do
    local n, til = string.match(flat[i + 1], "^(%d+) (%d+)$")
    if flat[i] == node then kept = { n, tonumber(til) }
    elseif tonumber(til) < at then redis.call("HDEL", counts, flat[i])
    else others = others + n
    end
  end
  if own == "0" and kept then redis.call("HDEL", counts, node) end
  if own ~= "0" and (not kept or kept[1] ~= own or kept[2] < at + lease / 2) then
    redis.call("HSET", counts, node, own .. " " .. string.format("%.0f", at + lease))
    redis.call("PEXPIRE", counts, 2 * lease)
  end
  return others
end

-- keys: stream, meta, present, members, counts; arguments: how many to keep, ttl, the node, how many subscribers it has, for
-- how many milliseconds. The newest id, whether the channel has ended, subscribers elsewhere.
define("look", function(keys, args)
  if redis.call("EXISTS", keys[3]) == 1 then sweep(keys, args[1], args[2]) end
  keep(keys[1], keys[2], args[2])
  return { newest(keys[1]), redis.call("HEXISTS", keys[2], "f"), count(keys[5], args[3], args[4], tonumber(args[5])) }
end, READING)

-- Dictionaries. keys: values, ends. A value is a text as event/shared_value.h has it: an integer's digits, which HINCRBY takes;
-- no value is an empty one. A value whose end has come is none, whether it was let go of or not.
local function forget(keys, key)
  redis.call("ZREM", keys[2], key)
  return redis.call("HDEL", keys[1], key) == 1
end

local function purge(keys)
  for _, key in ipairs(redis.call("ZRANGEBYSCORE", keys[2], "-inf", now(), "LIMIT", 0, 1000)) do forget(keys, key) end
end

local function value_of(keys, key)
  local ends = redis.call("ZSCORE", keys[2], key)
  if ends and tonumber(ends) <= now() then forget(keys, key) end
  return redis.call("HGET", keys[1], key) or ""
end

-- ttl: milliseconds; "": it stays; "0": the time that the old value has left.
local function put(keys, key, value, ttl)
  if value == "" then return forget(keys, key) end
  purge(keys)
  redis.call("HSET", keys[1], key, value)
  if ttl == "" then
    redis.call("ZREM", keys[2], key)
  elseif ttl ~= "0" then
    redis.call("ZADD", keys[2], now() + ttl, key)
  end
end

local function reading(name, fn) define(name, fn, READING) end

-- arguments: key
reading("get", function(keys, args) return { value_of(keys, args[1]) } end)

-- arguments: key. Takes nothing more than there is, so it is done without memory as well.
reading("delete", function(keys, args)
  value_of(keys, args[1])
  return { forget(keys, args[1]) and "ok" or "no" }
end)

-- arguments: what keys begin with
reading("keys", function(keys, args)
  local list, prefix, gone = {}, args[1], {}
  for _, key in ipairs(redis.call("ZRANGEBYSCORE", keys[2], "-inf", now())) do gone[key] = true end
  for _, key in ipairs(redis.call("HKEYS", keys[1])) do
    if string.sub(key, 1, #prefix) == prefix and not gone[key] then list[#list + 1] = key end
  end
  return list
end)

reading("count", function(keys)
  return { tostring(redis.call("HLEN", keys[1]) - redis.call("ZCOUNT", keys[2], "-inf", now())) }
end)

reading("bytes", function(keys)
  local values, ends = redis.call("MEMORY", "USAGE", keys[1]), redis.call("MEMORY", "USAGE", keys[2])
  return { string.format("%.0f", (values or 0) + (ends or 0)) }
end)

-- arguments: key, value, ttl
define("set", function(keys, args)
  put(keys, args[1], args[2], args[3])
  return { "ok" }
end)

define("add", function(keys, args)
  if value_of(keys, args[1]) ~= "" then return { "no" } end
  put(keys, args[1], args[2], args[3])
  return { "ok" }
end)

-- arguments: key, value, ttl, then what is to be there: each way to write it
define("cas", function(keys, args)
  local present = value_of(keys, args[1])
  for i = 4, #args do
    if args[i] == present then
      put(keys, args[1], args[2], args[3])
      return { "ok" }
    end
  end
  return { "no" }
end)

-- Integers wrap around, as those of Lua do, in steps none of which is too large. Numbers here are doubles: the sum is read
-- as a text.
local function add_integers(hash, key, by)
  local answer = redis.pcall("HINCRBY", hash, key, by)
  if type(answer) == "number" then return end
  local smallest, largest = "-9223372036854775808", "9223372036854775807"
  local steps = string.sub(by, 1, 1) == "-" and { largest, "1", by, largest, "1" } or { smallest, by, smallest }
  for _, step in ipairs(steps) do redis.call("HINCRBY", hash, key, step) end
end

-- arguments: key, what to add, what to begin with, ttl of a new value. "ok" and the sum; "wrong" and what is there; "nan"
define("incr", function(keys, args)
  local key, by = args[1], args[2]
  local present, integer = value_of(keys, key), "^%-?%d+$"
  local from = present == "" and args[3] or present
  local is_integer = string.find(from, integer)
  if not is_integer and string.sub(from, 1, 1) ~= "f" then return { "wrong", from } end
  local ttl = present == "" and args[4] or "0"
  if is_integer and string.find(by, integer) then
    put(keys, key, from, ttl)
    add_integers(keys[1], key, by)
    return { "ok", redis.call("HGET", keys[1], key) }
  end
  local sum = tonumber((string.gsub(from, "^f", ""))) + tonumber((string.gsub(by, "^f", "")))
  if sum ~= sum then return { "nan" } end
  local value = "f" .. string.format("%.17g", sum)
  put(keys, key, value, ttl)
  return { "ok", value }
end)
