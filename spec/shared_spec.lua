-- SPDX-License-Identifier: MIT
local helper = require "spec.helper"

-- Runs what is posted to it in the application's state, with `d` the dictionary "d". Answers with Lua.
local APP = [[
local function literal(v)
  if type(v) ~= "table" then return ("%q"):format(v) end
  local items = {}
  for i, item in ipairs(v) do items[i] = ("%q"):format(item) end
  return "{" .. table.concat(items, ",") .. "}"
end
app:post("/", function(req)
  local fn = assert(load(req:body(), "@user.lua", "t", setmetatable({ spate = spate, sse = sse }, { __index = function(_, name)
    if name == "d" then return spate.shared "d" end
    return _G[name]
  end })))
  local results = table.pack(pcall(fn))
  if not results[1] then return ("error(%q, 0)"):format(tostring(results[2])) end
  for i = 2, results.n do results[i] = literal(results[i]) end
  return "return " .. table.concat(results, ",", 2)
end)]]

local server

local function run_on(some_server, source, ...)
  local res = some_server:post("/", { body = source:format(...) })
  assert.equal(200, res:status())
  local fn = assert(load((res:body())))
  res:close()
  return fn()
end

local function run(...) return run_on(server, ...) end

local function fails(message, source, ...)
  local ok, err = pcall(run, source, ...)
  assert.is_false(ok, "expected an error")
  assert.equal(message, err)
end

local function serve(options)
  options = options or {}
  options.settings = options.settings or {}
  options.settings.log = { access = false }
  return helper.serve(APP, options)
end

describe("spate.shared", function()
  before_each(function() server = serve() end)
  after_each(function() server:close() end)

  it("keep their time when they are counted up, and are kept for ever where they had none", function()
    run 'd:set("ever", 1); d:set("soon", 1, { ttl = 10 }); d:incr("ever", 1); d:incr("soon", 1)'
    server:advance(9)
    assert.same({ 2, 2 }, { run 'return d:get "ever", d:get "soon"' })
    server:advance(2)
    assert.same({ 2 }, { run 'return d:get "ever", d:get "soon"' })
  end)

  it("give their memory back a few at a time, with whatever is done next", function()
    run 'for i = 1, 20 do d:set("key" .. (10 + i), 1, { ttl = 1 }) end; d:set("other", 1)'
    local full = run 'return spate.stats().shared_bytes'
    server:advance(2)
    assert.equal(full, run 'return spate.stats().shared_bytes')
    local left = {}
    for i = 1, 4 do
      run 'return d:get "other"'
      left[i] = full - run 'return spate.stats().shared_bytes'
    end
    local each = left[1] // 8
    assert.same({ 8 * each, 16 * each, 20 * each, 20 * each }, left)
  end)

  describe("values", function()
    for name, literal in pairs {
      ["an empty string"] = '""', ["a string"] = '"ab"', ["a string with NUL"] = '"\\0a\\0"',
      ["bytes that are not UTF-8"] = '"\\xff\\x80\\r\\n"', ["a number as a string"] = '"42"',
      ["zero"] = "0", ["the least integer"] = "math.mininteger", ["the greatest integer"] = "math.maxinteger",
      ["a whole float"] = "42.0", ["a fraction"] = "0.1", ["a float beyond the integers"] = "2.0^63",
      ["infinity"] = "-math.huge", ["true"] = "true", ["false"] = "false",
    } do
      it("keep " .. name, function()
        local same, kind = run("local v = %s d:set('k', v) local w = d:get 'k' return v == w, math.type(v) == math.type(w)", literal)
        assert.is_true(same)
        assert.is_true(kind)
        assert.equal(1, run "return d:count()")
      end)
    end

    it("keep the sign of zero", function() assert.equal(-math.huge, run "d:set('k', -0.0) return 1 / d:get 'k'") end)

    it("keep a long string", function()
      assert.is_true(run "local s = ('x'):rep(1000003) d:set('k', s) return d:get 'k' == s")
      assert.equal("short", run "d:set('l', 'short') return d:get 'l'")
    end)

    it("are nil where there is none", function()
      assert.same({ n = 1 }, table.pack(run "return d:get 'k'"))
    end)

    it("are replaced, by another type as well", function()
      assert.same({ 1, "long", true, "s", 2.5 }, run [[
        local list = {}
        for i, v in ipairs { 1, "long", true, "s", 2.5 } do d:set("k", v) list[i] = d:get "k" end
        return list]])
      assert.equal(1, run "return d:count()")
    end)

    it("of nil delete", function()
      assert.is_true(run "d:set('k', 1) return d:set('k', nil)")
      assert.is_nil(run "return d:get 'k'")
      assert.is_true(run "return d:set('k', nil)")
      assert.equal(0, run "return d:count()")
    end)

    it("have keys of any 255 bytes", function()
      assert.equal(3, run [[
        d:set("", 1) d:set("\0", 2) d:set(("k"):rep(255), 3)
        return d:get(("k"):rep(255))]])
      assert.same({ "", "\0", ("k"):rep(255) }, run "return d:keys()")
      assert.equal(1, run "return d:get ''")
    end)

    it("are told apart by all bytes of the key", function()
      assert.equal(2, run [[d:set("a\0b", 1) d:set("a\0c", 2) d:set("a", 3) return d:get "a\0c"]])
    end)
  end)

  describe("add", function()
    it("sets only where there is no value", function()
      assert.is_true(run "return d:add('k', 1)")
      assert.is_false(run "return d:add('k', 2)")
      assert.equal(1, run "return d:get 'k'")
    end)

    it("does not take false for none", function()
      assert.is_false(run "d:set('k', false) return d:add('k', 1)")
    end)

    it("may set again once the value is too old", function()
      run "d:add('lock', 1, { ttl = 10 })"
      server:advance(9.9)
      assert.is_false(run "return d:add('lock', 2, { ttl = 10 })")
      server:advance(0.1)
      assert.is_true(run "return d:add('lock', 3, { ttl = 10 })")
      assert.equal(3, run "return d:get 'lock'")
    end)
  end)

  describe("incr", function()
    it("counts from nothing", function()
      assert.same({ 1, 2, 7, 4 }, run "return { d:incr 'n', d:incr 'n', d:incr('n', 5), d:incr('n', -3) }")
      assert.equal("integer", run "return math.type(d:get 'n')")
    end)

    it("begins at init, where there is no value", function()
      assert.same({ 101, 102 }, run "return { d:incr('n', 1, { init = 100 }), d:incr('n', nil, { init = 100 }) }")
      assert.equal("float", run "return math.type(d:incr('f', 1, { init = 0.0 }))")
    end)

    it("adds as Lua does", function()
      assert.equal(0.75, run "d:set('n', 0.5) return d:incr('n', 0.25)")
      assert.equal("float", run "d:set('n', 1) return math.type(d:incr('n', 1.0))")
      assert.equal(math.mininteger, run "d:set('n', math.maxinteger) return d:incr 'n'")
      assert.equal(math.huge, run "return d:incr('n', math.huge)")
    end)

    it("refuses what holds no number, and leaves it", function()
      fails("user.lua:2: shared:incr: 'k' holds a string, not a number", "d:set('k', '1')\nd:incr 'k'")
      fails("user.lua:2: shared:incr: 'k' holds a boolean, not a number", "d:set('k', true)\nd:incr 'k'")
      assert.is_true(run "return d:get 'k'")
    end)

    it("refuses a sum that is no number, and leaves the value", function()
      fails("user.lua:2: shared:incr: the sum for 'k' is not a number (nan)", "d:set('k', math.huge)\nd:incr('k', -math.huge)")
      assert.equal(math.huge, run "return d:get 'k'")
      fails("user.lua:1: shared:incr: the sum for 'l' is not a number (nan)",
        "d:incr('l', math.huge, { init = -math.huge })")
      assert.is_nil(run "return d:get 'l'")
    end)

    it("gives a ttl to a new value only: a window that does not move", function()
      run "d:incr('hits', 1, { ttl = 10 })"
      server:advance(6)
      assert.equal(2, run "return d:incr('hits', 1, { ttl = 10 })")
      server:advance(4)
      assert.equal(1, run "return d:incr('hits', 1, { ttl = 10 })")
    end)
  end)

  describe("cas", function()
    it("sets where the value is the old one", function()
      run "d:set('k', 'a')"
      assert.is_false(run "return d:cas('k', 'b', 'c')")
      assert.equal("a", run "return d:get 'k'")
      assert.is_true(run "return d:cas('k', 'a', 'c')")
      assert.equal("c", run "return d:get 'k'")
    end)

    it("takes nil for no value", function()
      assert.is_true(run "return d:cas('k', nil, 1)")
      assert.is_false(run "return d:cas('k', nil, 2)")
      assert.is_false(run "return d:cas('k', 2, nil)")
      assert.is_true(run "return d:cas('k', 1, nil)")
      assert.is_nil(run "return d:get 'k'")
      assert.is_true(run "return d:cas('k', nil, nil)")
      assert.equal(0, run "return d:count()")
    end)

    it("compares as Lua does", function()
      for _, case in ipairs { { "1", "1.0", true }, { "1.0", "1", true }, { "0.0", "-0.0", true }, { "1", "'1'", false },
        { "1", "true", false }, { "false", "nil", false }, { "math.maxinteger", "2.0^63", false },
        { "2^53 | 0", "2.0^53", true }, { "(2^53 | 0) + 1", "2.0^53", false }, { "math.mininteger", "-2.0^63", true },
        { "math.huge", "math.maxinteger", false }, { "'a'", "'a\\0'", false } } do
        local held, old, equal = table.unpack(case)
        assert.equal(equal, run("d:set('k', %s) return d:cas('k', %s, 'new')", held, old), held .. " and " .. old)
      end
    end)

    it("leaves the value's time as it is, unless it is given one", function()
      run "d:set('k', 1, { ttl = 10 }) d:cas('k', 1, 2) d:set('l', 1, { ttl = 10 }) d:cas('l', 1, 2, { ttl = 20 })"
      server:advance(10)
      assert.same({ "l" }, run "return d:keys()")
      server:advance(10)
      assert.is_true(run "return d:cas('l', nil, 3)")
      server:advance(1000)
      assert.equal(3, run "return d:get 'l'")
    end)
  end)

  describe("delete", function()
    it("says whether there was a value", function()
      assert.is_false(run "return d:delete 'k'")
      assert.is_true(run "d:set('k', false) return d:delete 'k'")
      assert.is_nil(run "return d:get 'k'")
      run "d:set('k', 1, { ttl = 1 })"
      server:advance(1)
      assert.is_false(run "return d:delete 'k'")
    end)
  end)

  describe("keys", function()
    it("are sorted by their bytes", function()
      assert.same({}, run "return d:keys()")
      run [[for _, k in ipairs { "b", "a", "", "aa", "\xff", "B", "a\0", "10", "9" } do d:set(k, 1) end]]
      assert.same({ "", "10", "9", "B", "a", "a\0", "aa", "b", "\xff" }, run "return d:keys()")
    end)

    it("are chosen by prefix", function()
      run "for _, k in ipairs { 'user:2', 'user:1', 'use', 'room:1' } do d:set(k, 1) end"
      assert.same({ "user:1", "user:2" }, run "return d:keys 'user:'")
      assert.same({}, run "return d:keys 'user:12'")
      assert.equal(4, run "return #d:keys ''")
    end)

    it("leave out what is too old", function()
      run "d:set('a', 1, { ttl = 1 }) d:set('b', 1, { ttl = 2 }) d:set('c', 1)"
      server:advance(1)
      assert.same({ "b", "c" }, run "return d:keys()")
    end)

    it("come all of many", function()
      assert.same({ 20000, "00001", "20000" }, run [[
        for i = 1, 20000 do d:set(("%%05d"):format(i), i) end
        for i = 1, 20000 do assert(d:get(("%%05d"):format(i)) == i) end
        local keys = d:keys()
        for i = 2, #keys do assert(keys[i - 1] < keys[i]) end
        return { #keys, keys[1], keys[#keys] }]])
      assert.equal(10000, run "for i = 1, 20000, 2 do assert(d:delete(('%%05d'):format(i))) end return d:count()")
    end)

    it("survive a finalizer that lists as well", function()
      assert.equal(2000, run [[
        for i = 1, 2000 do d:set("a long key that is no short string of Lua " .. i, i) end
        local function plant() setmetatable({}, { __gc = function() d:keys() d:get "k" if plant then plant() end end }) end
        plant()
        collectgarbage("setpause", 10)
        for _, k in ipairs(d:keys()) do assert(d:get(k), k) end
        collectgarbage("setpause", 130)
        plant = nil
        return #d:keys()]])
    end)
  end)

  describe("ttl", function()
    it("ends a value at its time, to the fraction of a second", function()
      run "d:set('k', 1, { ttl = 0.25 })"
      server:advance(0.24)
      assert.equal(1, run "return d:get 'k'")
      server:advance(0.01)
      assert.is_nil(run "return d:get 'k'")
      assert.equal(0, run "return d:count()")
    end)

    it("is replaced, and taken away, by set", function()
      run "d:set('a', 1, { ttl = 1 }) d:set('a', 2, { ttl = 3 }) d:set('b', 1, { ttl = 1 }) d:set('b', 2)"
      run "d:set('c', 1) d:set('c', 2, { ttl = 1 })"
      server:advance(2)
      assert.same({ "a", "b" }, run "return d:keys()")
      server:advance(1)
      assert.same({ "b" }, run "return d:keys()")
      server:advance(1e6)
      assert.same({ "b" }, run "return d:keys()")
    end)

    it("does not outlive a deleted value", function()
      run "d:set('k', 1, { ttl = 1 }) d:delete 'k' d:set('k', 2)"
      server:advance(2)
      assert.equal(2, run "return d:get 'k'")
    end)

    it("ends any number of values at once", function()
      run "for i = 1, 5000 do d:set('k' .. i, i, { ttl = 1 + i %% 2 }) end"
      server:advance(1)
      assert.equal(2500, run "return #d:keys()")
      assert.equal(2500, run "return d:count()")
      server:advance(1)
      assert.equal(0, run "return d:bytes()")
    end)
  end)

  describe("bytes", function()
    it("grow with keys and strings, and come back", function()
      local empty, one, longer, key = table.unpack(run [[
        local list = { d:bytes() }
        d:set("k", "") list[2] = d:bytes()
        d:set("k", ("x"):rep(1000)) list[3] = d:bytes()
        d:set("l" .. ("k"):rep(100), 1) list[4] = d:bytes()
        return list]])
      assert.equal(0, empty)
      assert.is_true(one > 0)
      assert.equal(one + 1000, longer)
      assert.equal(longer + one + 100, key)
      assert.equal(one, run "d:set('k', 1) d:delete('l' .. ('k'):rep(100)) return d:bytes()")
      assert.equal(0, run "d:delete 'k' return d:bytes()")
    end)

    it("give back what has expired with each use, eight values at a time", function()
      local empty = run "d:get 'other' return spate.stats().shared_bytes"
      local full = run "for i = 1, 20 do d:set(string.char(96 + i), 'x', { ttl = 1 }) end return spate.stats().shared_bytes"
      server:advance(2)
      local left = {}
      for i = 1, 4 do left[i] = (run "d:get 'other' return spate.stats().shared_bytes" - empty) * 20 / (full - empty) end
      assert.same({ 12.0, 4.0, 0.0, 0.0 }, left)
    end)

    it("take a value that is over out where it is asked for, however many are over before it", function()
      local one = run "d:set('a', 1) return d:bytes()"
      for _, use in ipairs { "d:get 'z'", "d:set('z', 1)", "d:add('z', 1)", "d:incr('z', 1)", "d:cas('z', nil, 1)", "d:delete 'z'" } do
        run "for i = 1, 200 do d:set(i .. '', 1, { ttl = 1 }) end d:set('z', 1, { ttl = 1.5 })"
        server:advance(2)
        assert.equal(use:find "get" == nil and use:find "delete" == nil, run(use .. " return d:get 'z' ~= nil"))
        run "d:delete 'z'"
        assert.equal(one, run "return d:bytes()")
      end
    end)

    it("are about the memory that values and dictionaries take, or more", function()
      local function taken()
        run "collectgarbage() collectgarbage()"
        return server:allocated()
      end
      run "_G.kept, _G.long = {}, ('k'):rep(190)"
      taken()
      for source, count in pairs { ["d:set(i .. '', i)"] = 20000, ["d:set(long .. i, i, { ttl = 1000 })"] = 20000, ["kept[i] = spate.shared(long .. i)"] = 2000 } do
        local bytes, memory = run "return spate.stats().shared_bytes", taken()
        run(("for i = 1, %d do %s end"):format(count, source))
        bytes, memory = run "return spate.stats().shared_bytes" - bytes, taken() - memory
        assert.is_true(bytes >= 0.8 * memory and bytes < 5 * memory, ("%s: %d of %d"):format(source, bytes, memory))
      end
    end)

    it("leave no memory behind when values and dictionaries go", function()
      local function round()
        run [[for i = 1, 200 do
          local one = spate.shared("n" .. i)
          one:set("a", ("x"):rep(100)) one:set("a", 1) one:set("b", "x", { ttl = 1 }) one:set("c", "y", { ttl = 1 })
          one:delete "a" one:delete "b"
        end collectgarbage() collectgarbage()]]
        server:advance(2)
        run "for i = 1, 200 do spate.shared('n' .. i):get 'c' end collectgarbage() collectgarbage()"
      end
      round()
      local bytes = run "return spate.stats().shared_bytes"
      assert.is_true(server:comes_to_rest(round))
      assert.equal(bytes, run "return spate.stats().shared_bytes")
    end)

    it("are counted for all dictionaries together in spate.stats", function()
      local before = run "d:set('k', 1) return spate.stats().shared_bytes"
      assert.equal(before + 1000, run "d:set('k', ('x'):rep(1000)) return spate.stats().shared_bytes")
      assert.is_true(run "spate.shared 'other':set('k', 1) return spate.stats().shared_bytes" > before + 1000)
    end)
  end)

  describe("the limit", function()
    before_each(function()
      server:close()
      server = serve { settings = { limits = { shared = 20000 } } }
    end)

    it("refuses what would go beyond it, and changes nothing", function()
      assert.same({ n = 2, nil, "full" }, table.pack(run "return d:set('k', ('x'):rep(20000))"))
      assert.is_true(run "return d:set('k', ('x'):rep(10000))")
      assert.same({ n = 2, nil, "full" }, table.pack(run "return d:set('k', ('y'):rep(20000), { ttl = 1 })"))
      assert.same({ n = 2, nil, "full" }, table.pack(run "return d:add('l', ('y'):rep(10000))"))
      assert.same({ n = 2, nil, "full" }, table.pack(run "return d:cas('k', ('x'):rep(10000), ('y'):rep(20000))"))
      server:advance(2)
      assert.is_true(run "return d:get 'k' == ('x'):rep(10000)")
      assert.equal(1, run "return d:count()")
    end)

    it("is exact, and holds for all dictionaries", function()
      assert.same({ true, true }, run [[
        d:set("k", "")
        local other = spate.shared "other"
        local room = 20000 - spate.stats().shared_bytes
        local results = { other:set("k", ("x"):rep(room)) == nil }
        d:set("k", ("x"):rep(room))
        results[2] = spate.stats().shared_bytes == 20000
        return results]])
      assert.same({ n = 2, nil, "full" }, table.pack(run "return spate.shared 'other':incr 'n'"))
    end)

    it("lets values shrink, change and go where nothing is left", function()
      run "d:set('k', '') d:set('n', 1) d:set('k', ('x'):rep(20000 - spate.stats().shared_bytes))"
      assert.is_true(run "return spate.stats().shared_bytes == 20000")
      assert.equal(2, run "return d:incr 'n'")
      assert.is_true(run "return d:set('n', 2.5)")
      assert.is_nil(run "return (d:set('n', 'x'))")
      assert.is_true(run "return d:cas('k', d:get 'k', ('y'):rep(#d:get 'k'))")
      assert.is_true(run "return d:set('k', 'short')")
      assert.is_true(run "return d:set('n', 'x')")
      assert.is_true(run "return d:delete 'k'")
    end)

    it("is met anew after values have ended, in other dictionaries as well", function()
      run [[
        local other = spate.shared "other"
        for i = 1, 40 do other:set("k" .. i, ("x"):rep(100), { ttl = 5 }) end
        while d:set("k" .. d:count(), "x", { ttl = 5 }) do end]]
      assert.same({ n = 2, nil, "full" }, table.pack(run "return d:set('new', ('x'):rep(5000))"))
      server:advance(5)
      assert.is_true(run "return d:set('new', ('x'):rep(10000))")
      assert.same({ "new" }, run "return d:keys()")
    end)

    it("holds for dictionaries to the byte", function()
      local one = run "d:count() return spate.stats().shared_bytes"
      assert.equal(one + 3, run "spate.shared 'long' return spate.stats().shared_bytes" - one)
      for _, room in ipairs { one - 1, one, 2 * one - 1, 2 * one } do
        server:close()
        server = serve { settings = { limits = { shared = room } } }
        assert.equal(room // one, run "local n = 0 for _, name in ipairs { 'a', 'b' } do if pcall(spate.shared, name) then n = n + 1 end end return n")
      end
    end)

    it("holds for dictionaries: an error where there is no room for another", function()
      run "d:set('k', '') d:set('k', ('x'):rep(20000 - spate.stats().shared_bytes))"
      fails("user.lua:1: spate.shared: no room for another dictionary within limits.shared (20000 bytes)",
        "return spate.shared 'more'")
      assert.equal("shared 'more'", run "d:delete 'k' return tostring(spate.shared 'more')")
    end)

    it("is met by what has ended alone: what lasts stays, also where no script holds it", function()
      server:close()
      server = serve { settings = { limits = { shared = 200000 } } }
      run [[for i = 1, 20 do
          spate.shared("over" .. i):set("k", ("x"):rep(1000), { ttl = 1 })
          spate.shared("lasts" .. i):set("k", i)
        end
        d:set("rest", "") collectgarbage() collectgarbage()
        d:set("rest", ("x"):rep(200000 - spate.stats().shared_bytes))]]
      server:advance(2)
      assert.is_true(run "return d:set('new', ('x'):rep(2500))")
      for i = 1, 20 do assert.equal(i, run("return spate.shared('lasts%d'):get 'k'", i)) end
    end)

    it("is met by dictionaries in an order that who names them cannot know, or they could be made to collide", function()
      local freed, kinds = {}, 0
      for _ = 1, 8 do
        server:close()
        server = serve { settings = { limits = { shared = 200000 } } }
        run [[for i = 1, 30 do spate.shared("over" .. i):set("k", ("x"):rep(1000 + i), { ttl = 1 }) end
          d:set("rest", "") collectgarbage() collectgarbage()
          d:set("rest", ("x"):rep(200000 - spate.stats().shared_bytes))]]
        server:advance(2)
        assert.is_true(run "return d:set('new', 1)")
        freed[200000 - run "return spate.stats().shared_bytes"] = true
      end
      for _ in pairs(freed) do kinds = kinds + 1 end
      assert.is_true(kinds > 1)
    end)

    it("does not run out by names that nothing is kept under", function()
      assert.is_true(run [[
        for i = 1, 1000 do
          local one = spate.shared("name " .. i)
          one:set("k", 1)
          one:delete "k"
          if i %% 3 == 0 then one, i = nil, collectgarbage() end
        end
        return d:set("k", 1)]])
    end)

    it("does not run out by dictionaries whose values have all ended", function()
      for round = 1, 10 do
        run("for i = 1, 3 do spate.shared('name %d ' .. i):set('k', 1, { ttl = 1 }) end collectgarbage() collectgarbage()", round)
        server:advance(1)
      end
      assert.is_true(run "return d:set('k', 1)")
    end)

    it("is a setting", function()
      assert.matches("limits.shared: expected a whole number of 1 or more, got 0",
        helper.load_error(APP, { settings = { limits = { shared = 0 } } }), 1, true)
    end)
  end)

  describe("a dictionary", function()
    it("is found by its name, and is another by another", function()
      assert.is_true(run "return spate.shared 'a' == spate.shared 'a'")
      assert.is_false(run "return spate.shared 'a' == spate.shared 'b'")
      run "spate.shared 'a':set('k', 1)"
      assert.is_nil(run "return spate.shared 'b':get 'k'")
      assert.equal(1, run "return spate.shared 'a':get 'k'")
    end)

    it("that is to be kept takes no more where there is nothing to keep it in", function()
      local one = run "d:set('k', 1) return d:bytes()"
      assert.same({ one, 0 }, run [[local kept = spate.shared("kept", { store = true })
        kept:set("k", 1)
        local list = { kept:bytes() }
        kept:delete "k"
        return { list[1], kept:bytes() }]])
    end)

    it("keeps its values while no script holds it", function()
      run "spate.shared 'a':set('k', 1) collectgarbage() collectgarbage()"
      assert.equal(1, run "return spate.shared 'a':get 'k'")
    end)

    it("may have a name of any 255 bytes", function()
      assert.equal(1, run "spate.shared(('n'):rep(255)):set('k', 1) return spate.shared(('n'):rep(255)):get 'k'")
      assert.is_nil(run "spate.shared('n\\0a'):set('k', 1) return spate.shared('n\\0b'):get 'k'")
    end)

    it("is an error to use after its end", function()
      fails("user.lua:2: shared:get: expected a dictionary before it, as in dictionary:get(...), got userdata",
        "local a = spate.shared 'a' getmetatable(a).__gc(a)\na:get 'k'")
    end)
  end)

  describe("mistakes are raised at the user's line", function()
    for source, message in pairs {
      ["spate.shared()"] = "spate.shared: expected a name as a string, got no value",
      ["spate.shared(1)"] = "spate.shared: expected a name as a string, got number",
      ["spate.shared ''"] = "spate.shared: expected a name of 1 to 255 bytes, got one of 0",
      ["spate.shared(('n'):rep(256))"] = "spate.shared: expected a name of 1 to 255 bytes, got one of 256",
      ["d.get('k')"] = "shared:get: expected a dictionary before it, as in dictionary:get(...), got string",
      ["d:get()"] = "shared:get: expected a string as key, got no value",
      ["d:get(1)"] = "shared:get: expected a string as key, got number",
      ["d:delete {}"] = "shared:delete: expected a string as key, got table",
      ["d:keys(1)"] = "shared:keys: expected a string as key, got number",
      ["d:set(('k'):rep(256), 1)"] = "shared:set: a key of 256 bytes is longer than 255",
      ["d:set('k', {})"] = "shared:set: expected a string, number or boolean as value, got table; json.encode makes a string of it",
      ["d:set('k', print)"] = "shared:set: expected a string, number or boolean as value, got function",
      ["d:set('k', 0/0)"] = "shared:set: the value is not a number (nan)",
      ["d:add('k')"] = "shared:add: expected a string, number or boolean as value, got no value",
      ["d:add('k', 0/0)"] = "shared:add: the value is not a number (nan)",
      ["d:cas('k', 0/0, 1)"] = "shared:cas: the value is not a number (nan)",
      ["d:cas('k', {}, 1)"] = "shared:cas: expected a string, number or boolean as value, got table; json.encode makes a string of it",
      ["d:incr('k', '1')"] = "shared:incr: expected a number as step, got string",
      ["d:incr('k', 0/0)"] = "shared:incr: the step is not a number (nan)",
      ["d:incr('k', 1, 5)"] = "shared:incr: expected a table of options, got number",
      ["d:incr('k', 1, { init = 'a' })"] = "shared:incr: expected a number as init, got string",
      ["d:incr('k', 1, { int = 1 })"] = "shared:incr: unknown option 'int'; did you mean 'init'?",
      ["d:set('k', 1, 60)"] = "shared:set: expected a table of options, got number",
      ["d:set('k', 1, { ttl = '1' })"] = "shared:set: expected seconds as ttl, got string",
      ["d:set('k', 1, { ttl = 0 })"] = "shared:set: expected a ttl above 0 seconds, got 0",
      ["d:set('k', 1, { ttl = -1 })"] = "shared:set: expected a ttl above 0 seconds, got -1",
      ["d:set('k', 1, { ttl = 0/0 })"] = "shared:set: expected a ttl above 0 seconds, got -nan",
      ["d:set('k', 1, { tll = 1 })"] = "shared:set: unknown option 'tll'; did you mean 'ttl'?",
      ["d:set('k', 1, { init = 1 })"] = "shared:set: unknown option 'init'",
      ["d:set('k', 1, { 1 })"] = "shared:set: unknown option '1'",
    } do
      it(source, function()
        local ok, err = pcall(run, "local _ = 1\n%s", source)
        assert.is_false(ok)
        assert.equal("user.lua:2: " .. message, (err:gsub("got %-?nan$", "got -nan")))
        assert.equal(0, run "return d:count()")
      end)
    end
  end)

  describe("two states of one process", function()
    local second

    before_each(function() second = serve { with = server.core } end)
    after_each(function() if second then second:close() end end)

    it("see each other's values", function()
      run "d:set('k', 'from the first') d:incr('n', 2)"
      assert.equal("from the first", run_on(second, "return d:get 'k'"))
      assert.equal(3, run_on(second, "return d:incr 'n'"))
      assert.is_false(run "return d:cas('n', 2, 9)")
      assert.is_true(run "return d:cas('n', 3, 9)")
      assert.equal(9, run_on(second, "return d:get 'n'"))
      assert.is_true(run_on(second, "return d:delete 'n'"))
      assert.same({ "k" }, run "return d:keys()")
    end)

    it("lock each other out", function()
      assert.is_true(run "return d:add('lock', 1)")
      assert.is_false(run_on(second, "return d:add('lock', 2)"))
    end)

    it("share the limit", function()
      local before = run "d:set('k', 1) return spate.stats().shared_bytes"
      assert.equal(before, run_on(second, "return spate.stats().shared_bytes"))
    end)

    it("leave their values behind when they end", function()
      run_on(second, "spate.shared 'of the second':set('k', 1)")
      second:close()
      second = nil
      assert.equal(1, run "return spate.shared 'of the second':get 'k'")
    end)
  end)

  it("has dictionaries of its own for each process", function()
    local other = serve()
    run "d:set('k', 1)"
    assert.is_nil(run_on(other, "return d:get 'k'"))
    other:close()
  end)
end)
