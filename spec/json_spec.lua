-- SPDX-License-Identifier: MIT
local json = require("spec.helper").json

local function nested(depth) return ("["):rep(depth) .. ("]"):rep(depth) end

-- The message with which encode raises, without its position, which must be in this file.
local function encode_error(value)
  local ok, message = pcall(function()
    local text = json.encode(value)
    return text
  end)
  assert.is_false(ok)
  local rest = message:match "json_spec%.lua:%d+: (.*)"
  assert.is_string(rest, message)
  return rest
end

local function decode_error(text)
  local value, message = json.decode(text)
  assert.is_nil(value)
  return message
end

describe("json.encode", function()
  it("writes scalars", function()
    assert.equal("true", json.encode(true))
    assert.equal("false", json.encode(false))
    assert.equal("null", json.encode(nil))
    assert.equal("null", json.encode(json.null))
    assert.equal('"word"', json.encode "word")
    assert.equal('""', json.encode "")
  end)

  it("keeps all 64 bits of integers", function()
    for _, n in ipairs { 0, 1, -1, 10, 2 ^ 53 | 1, math.maxinteger, math.mininteger } do
      assert.equal(("%d"):format(n), json.encode(n))
    end
  end)

  it("writes floats so that they read back as the same float", function()
    local texts = {
      [3.0] = "3.0", [0.1] = "0.1", [-2.5] = "-2.5", [1 / 3] = "0.3333333333333333", [100.0] = "100.0",
      [0.1 + 0.2] = "0.30000000000000004", [1700000000.25] = "1700000000.25", [0.000001] = "0.000001",
      [2.0 ^ 53] = "9007199254740992.0", [1e15] = "1e+15", [1e300] = "1e+300", [999999999999999.0] = "999999999999999.0",
    }
    for n, text in pairs(texts) do
      n = n + 0.0
      assert.equal(text, json.encode(n))
      assert.equal(n, json.decode(text))
      assert.equal("float", math.type(json.decode(text)))
    end
    assert.equal("-0.0", json.encode(-0.0))
    assert.equal(-math.huge, 1 / json.decode "-0.0")
  end)

  it("writes the shortest of the forms that read back", function()
    local function shortest(n)
      for digits = 15, 17 do
        local text = ("%." .. digits .. "g"):format(n)
        if tonumber(text) + 0.0 == n then return text end
      end
    end
    math.randomseed(1)
    for _ = 1, 20000 do
      local n = (math.random() - 0.5) * 10 ^ math.random(-12, 24)
      if math.random(2) == 1 then n = math.floor(n * 1000) / 1000 end
      local text, short = json.encode(n), shortest(n)
      assert.equal(n, tonumber(text))
      if not short:find "e" then assert.equal(short:find "%." and short or short .. ".0", text) end
    end
  end)

  it("refuses NaN and infinities", function()
    assert.equal("cannot encode NaN", encode_error(0 / 0))
    assert.equal("cannot encode an infinite number at load[2]", encode_error { load = { 1, -math.huge } })
  end)

  it("escapes what must be escaped and nothing else", function()
    assert.equal([["\"\\/</\b\t\n\f\r"]], json.encode '"\\/</\b\t\n\f\r')
    assert.equal('"\\u0000\\u0001\\u000b\\u000e\\u001f\127"', json.encode "\0\1\11\14\31\127")
    assert.equal('"\u{2028}\u{2029}\u{e9}\u{10ffff}"', json.encode "\u{2028}\u{2029}\u{e9}\u{10ffff}")
  end)

  it("escapes at every offset in a string", function()
    for before = 0, 20 do
      for after = 0, 9 do
        local head, tail = ("a"):rep(before), ("\u{e9}"):rep(after)
        assert.equal('"' .. head .. '\\"' .. tail .. '"', json.encode(head .. '"' .. tail))
      end
    end
  end)

  it("names the first byte that is not UTF-8", function()
    local bad = {
      "\x80", "\xc0\x80", "\xc1\xbf", "\xe0\x9f\xbf", "\xed\xa0\x80", "\xf0\x8f\xbf\xbf", "\xf4\x90\x80\x80",
      "\xf5\x80\x80\x80", "\xff", "\xc3", "\xe2\x82", "\xf0\x9f\x98", "\xe2\x28\xa1",
    }
    for _, bytes in ipairs(bad) do
      assert.equal("invalid UTF-8 at byte 1 of the string", encode_error(bytes))
      assert.equal("invalid UTF-8 at byte 12 of the string at text", encode_error { text = "twelve \u{20ac}." .. bytes })
    end
    assert.equal('invalid UTF-8 at byte 2 of the key at a["k?"]', encode_error { a = { ["k\xff"] = 1 } })
  end)

  it("tells arrays from objects", function()
    assert.equal("[]", json.encode {})
    assert.equal("{}", json.encode(json.object {}))
    assert.equal("[]", json.encode(json.array {}))
    assert.equal("[1,[2],{}]", json.encode { 1, { 2 }, json.object {} })
    assert.equal('{"a":[]}', json.encode(json.object { a = {} }))
    assert.equal('{"1":"one"}', json.encode { ["1"] = "one" })
  end)

  it("takes an array in whatever order it was filled", function()
    local t = {}
    for i = 9, 1, -1 do t[i] = i end
    assert.equal("[1,2,3,4,5,6,7,8,9]", json.encode(t))
    assert.equal("[1,2]", json.encode { [2.0] = 2, [1.0] = 1 })
  end)

  it("sorts keys by their bytes", function()
    assert.equal('{"":0,"B":1,"a":2,"aa":3,"b":4,"\u{e9}":5}', json.encode { b = 4, a = 2, ["\u{e9}"] = 5, [""] = 0, B = 1, aa = 3 })
    assert.equal('{"same_head":1,"same_head\\u0000":2,"same_head1":3,"same_head2":4}',
      json.encode { same_head2 = 4, same_head = 1, ["same_head\0"] = 2, same_head1 = 3 })
    local object, keys = {}, {}
    for i = 1, 500 do keys[i] = "key number " .. i * 7919 % 1000 end
    for i, key in ipairs(keys) do object[key] = i end
    table.sort(keys)
    local seen = {}
    for key in json.encode(object):gmatch '"(.-)":' do seen[#seen + 1] = key end
    assert.same(keys, seen)
  end)

  it("refuses holes, mixed keys and keys of other types", function()
    assert.equal("an array with a hole at [3]", encode_error { 1, 2, nil, 4 })
    assert.equal("an array with a hole at a.b[1]", encode_error { a = { b = { [2] = true } } })
    assert.equal("an array starts at 1, not at [0]", encode_error { [0] = "zero" })
    assert.equal("string key in an array at a.x", encode_error { a = { 1, x = 2 } })
    assert.equal("string key in an array at [1].x", encode_error { json.array { x = 2 } })
    assert.equal("integer key in an object at a[1]", encode_error { a = json.object { "one" } })
    assert.equal("a key must be a string or an integer, not a number (1.5) at a", encode_error { a = { [1.5] = 1 } })
    assert.equal("a key must be a string or an integer, not a boolean (true)", encode_error { [true] = 1 })
    assert.equal("a key must be a string or an integer, not a table (table)", encode_error { [{}] = 1 })
  end)

  it("names the type and the path of what has no JSON", function()
    assert.equal("cannot encode a function", encode_error(print))
    assert.equal("cannot encode a function at a.b[3]", encode_error { a = { b = { 1, 2, print } } })
    assert.equal("cannot encode a thread at [1]", encode_error { coroutine.create(print) })
    assert.equal("cannot encode a FILE* at out", encode_error { out = io.stdout })
    assert.equal('cannot encode a function at ["two words"]["1st"]', encode_error { ["two words"] = { ["1st"] = print } })
    assert.equal('cannot encode a function at ["' .. ("x"):rep(40) .. '..."]', encode_error { [("x"):rep(99)] = print })
  end)

  it("stops at the depth limit, as in a cycle", function()
    local cycle = {}
    cycle.self = cycle
    local path = "self" .. (".self"):rep(7) .. "..." .. (".self"):rep(8)
    assert.equal("nested deeper than 200 levels (a cycle?) at " .. path, encode_error(cycle))
    local deep = {}
    for _ = 2, 200 do deep = { deep } end
    assert.equal(nested(200), json.encode(deep))
    assert.matches("^nested deeper than 200 levels", encode_error { deep })
  end)

  it("shows the whole of a path of 16 levels", function()
    local value = print
    for i = 16, 1, -1 do value = { ["k" .. i] = value } end
    assert.equal("cannot encode a function at k1.k2.k3.k4.k5.k6.k7.k8.k9.k10.k11.k12.k13.k14.k15.k16", encode_error(value))
  end)

  it("stops before shared tables have doubled too often", function()
    local t = { ("x"):rep(1000) }
    for _ = 1, 40 do t = { t, t } end
    assert.matches("^the JSON grows beyond 128 MiB at ", encode_error(t))
  end)

  it("reads tables raw", function()
    local object = setmetatable({ a = 1 }, {
      __index = error, __pairs = error, __len = error, __tojson = error, __tostring = error,
    })
    assert.equal('{"a":1}', json.encode(object))
  end)

  it("works again after an error", function()
    encode_error { "a long text before the error", print }
    assert.equal('{"a":1}', json.encode { a = 1 })
  end)

  it("wants an argument", function()
    local ok, message = pcall(function() json.encode() end)
    assert.is_false(ok)
    assert.matches("json_spec%.lua:%d+: bad argument #1 to 'encode' %(value expected%)", message)
  end)

  it("can be used by a finalizer while something is encoded", function()
    local finalized = 0
    for _ = 1, 2000 do
      setmetatable({}, { __gc = function()
        finalized = finalized + 1
        assert.equal("[1]", json.encode(json.decode "[1]"))
      end })
      local value = json.decode '{"list":[{"a":"text"},[],{},1.5],"word":"w"}'
      assert.equal('{"list":[{"a":"text"},[],{},1.5],"word":"w"}', json.encode(value))
    end
    collectgarbage()
    assert.equal(2000, finalized)
  end)
end)

describe("json.array and json.object", function()
  it("return the table they were given", function()
    local t = {}
    assert.equal(t, json.object(t))
    assert.equal("{}", json.encode(t))
    assert.equal(t, json.array(t))
    assert.equal("[]", json.encode(t))
  end)

  it("leave a metatable of the program's own alone", function()
    local ok, message = pcall(function() json.object(setmetatable({}, {})) end)
    assert.is_false(ok)
    assert.matches("json_spec%.lua:%d+: bad argument #1 to 'object' %(the table has a metatable of its own%)", message)
  end)
end)

describe("json.null", function()
  it("is one true value with a readable name", function()
    assert.equal("json.null", tostring(json.null))
    assert.is_true(json.null and true)
    assert.equal(json.null, json.decode "null")
  end)
end)

describe("json.decode", function()
  it("reads scalars", function()
    assert.is_true(json.decode "true")
    assert.is_false(json.decode " false ")
    assert.equal("a\0\u{1f600}", json.decode [["a\u0000\ud83d\ude00"]])
    assert.equal("integer", math.type(json.decode "1"))
    assert.equal("float", math.type(json.decode "1.0"))
    assert.equal(math.mininteger, json.decode "-9223372036854775808")
    assert.equal(math.maxinteger, json.decode "9223372036854775807")
  end)

  it("reads documents", function()
    local value = json.decode '{"a":[1,{"b":"c"}],"d":{"e":-1.5}}'
    assert.same({ a = { 1, { b = "c" } }, d = { e = -1.5 } }, value)
  end)

  it("keeps empty arrays and objects apart", function()
    for _, text in ipairs { "[]", "{}", "[[],{}]", '{"a":{"b":[{}]}}' } do
      assert.equal(text, json.encode(json.decode(text)))
    end
    local value = json.decode '{"list":[]}'
    value.list[1] = "one"
    assert.equal('{"list":["one"]}', json.encode(value))
  end)

  it("drops null members and keeps null elements", function()
    local value = json.decode '{"a":null,"b":[null,1,null]}'
    assert.is_nil(value.a)
    assert.equal(3, #value.b)
    assert.equal(json.null, value.b[1])
    assert.equal('{"b":[null,1,null]}', json.encode(value))
  end)

  it("takes the last of several members of one name", function()
    assert.equal(2, json.decode('{"a":1,"a":2}').a)
    assert.is_nil(json.decode('{"a":1,"a":null}').a)
  end)

  it("says where a text goes wrong", function()
    assert.equal("line 1, column 4: unexpected token near '}'", decode_error "[1,}")
    assert.equal("line 3, column 7: unexpected token near '}'", decode_error '{\n  "a": 1,\n  "b":}')
    assert.equal("line 2, column 3: string or '}' expected near '}'", decode_error '{"a":1,\n  }')
    assert.equal("line 1, column 9: invalid token near 'foo'", decode_error '["\u{e9}", foo]')
    assert.equal("line 1, column 3: end of file expected near '2'", decode_error "1 2")
    assert.equal("line 1, column 2: premature end of input near '\"a'", decode_error '"a')
    assert.equal("line 1, column 1: string or '}' expected near end of file", decode_error "{")
    assert.matches("^line 1, column 1: unable to decode byte 0xff", decode_error '"\xff"')
    assert.matches("^line 1, column 10: NUL byte in object key", decode_error [[{"a\u0000":1}]])
    assert.matches("^line 1, column 8: invalid Unicode", decode_error [["\ud800"]])
  end)

  it("refuses numbers that do not fit", function()
    assert.equal("line 1, column 19: too big integer near '9223372036854775808'", decode_error "9223372036854775808")
    assert.equal("line 2, column 6: real number overflow near '1e999'", decode_error "[\n 1e999]")
  end)

  it("says that a text is empty", function()
    assert.equal("line 1, column 1: empty text, a JSON value expected", decode_error "")
    assert.equal("line 2, column 1: empty text, a JSON value expected", decode_error " \n ")
    assert.matches("invalid token", decode_error "\0")
  end)

  it("stops at the depth limit and says where", function()
    assert.equal(nested(200), json.encode(json.decode(nested(200))))
    assert.equal("line 1, column 201: nested deeper than 200 levels", decode_error(nested(201)))
    assert.equal("line 1, column 201: nested deeper than 200 levels", decode_error(nested(100000)))
    local head = '{"[[[":"\\"[[",\n"\u{e9}":'
    assert.equal("line 2, column 204: nested deeper than 200 levels", decode_error(head .. nested(200) .. "}"))
  end)

  it("wants a string", function()
    for _, value in ipairs { 12, true, {} } do
      local ok, message = pcall(function() json.decode(value) end)
      assert.is_false(ok)
      assert.matches("json_spec%.lua:%d+: bad argument #1 to 'decode' %(string expected, got " .. type(value), message)
    end
  end)
end)
