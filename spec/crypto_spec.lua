-- SPDX-License-Identifier: MIT
-- spate.crypto: digests and texts by the vectors of their RFCs; passwords, which threads hash.
local helper = require "spec.helper"

local server

-- What a script returns that runs as a handler.
local function run(code)
  if server then server:close() end
  server = helper.serve('local crypto = require "spate.crypto"\napp:get("/", function(req)\n' .. code .. "\nend)")
  local res = server:get "/"
  server:turn()
  return res:json()
end

local function error_of(code)
  return run('local ok, err = pcall(function() ' .. code .. ' end) return { ok = ok, err = err }').err
end

describe("spate.crypto", function()
  after_each(function() server = server and server:close() end)

  it("is the module, and what spate has of that name", function()
    assert.same({ true }, run "return { spate.crypto == crypto }")
  end)

  it("has digests", function()
    assert.same({
      "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", "a9993e364706816aba3e25717850c26c9cd0d89d",
      "900150983cd24fb0d6963f7d28e17f72", 64, "kAFQmDzST7DWlj99KOF/cg==", "kAFQmDzST7DWlj99KOF_cg", 16, 128,
    }, run [[return { crypto.hash("sha256", "abc"), crypto.hash("sha1", "abc"), crypto.hash("md5", "abc"), #crypto.hash("sha512", "", "raw"),
      crypto.hash("md5", "abc", "base64"), crypto.hash("md5", "abc", "base64url"), #crypto.hash("md5", "abc", "raw"), #crypto.hash("blake2b512", "") }]])
  end)

  it("has them with a key (RFC 4231, RFC 2202)", function()
    assert.same({ "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843", "750c783e6ab0b503eaa86e310a5db738" }, run
      [[return { crypto.hmac("sha256", "Jefe", "what do ya want for nothing?"), crypto.hmac("md5", "Jefe", "what do ya want for nothing?") }]])
  end)

  it("has random bytes, as many as are asked for", function()
    assert.same({ 0, 1, 1000, 1048576, true }, run
      "return { #crypto.random(0), #crypto.random(1), #crypto.random(1000), #crypto.random(1 << 20), crypto.random(16) ~= crypto.random(16) }")
    assert.matches(":6: crypto.random: expected a number of bytes up to 1048576, got %-1$", error_of "\ncrypto.random(-1)")
  end)

  it("has base64 in its kinds (RFC 4648)", function()
    assert.same({ "", "Zg==", "Zm8=", "Zm9v", "+/8=", "-_8", "-_8=", "Zg" }, run [[return { crypto.base64 "", crypto.base64 "f", crypto.base64 "fo",
      crypto.base64 "foo", crypto.base64 "\xfb\xff", crypto.base64("\xfb\xff", { url = true }), crypto.base64("\xfb\xff", { url = true, pad = true }),
      crypto.base64("f", { pad = false }) }]])
  end)

  it("takes back what it has written, and nothing else", function()
    assert.same({ good = 1200 }, run [[
      local good = 0
      for n = 0, 99 do
        local bytes = crypto.random(n)
        for _, options in ipairs { {}, { url = true }, { pad = false }, { url = true, pad = true }, { url = false, pad = true }, { url = true, pad = false } } do
          good = good + (crypto.base64_decode(crypto.base64(bytes, options), options) == bytes and 1 or 0)
          good = good + (crypto.hex_decode(crypto.hex(bytes)) == bytes and 1 or 0)
        end
      end
      for _, text in ipairs { "Zg", "Zg=", "Zh==", "Zg==\n", "Z===", "-_8=", "Zg== ", "====", "Z\0==" } do
        local bytes, why = crypto.base64_decode(text)
        if bytes or why ~= "no base64 of this kind" then return { bad = text } end
      end
      for _, text in ipairs { "Zg==", "+/8", "Zh", "Z", "Zm 8" } do
        if crypto.base64_decode(text, { url = true }) then return { bad = text } end
      end
      for _, text in ipairs { "f", "fg", "0x", " 0" } do
        local bytes, why = crypto.hex_decode(text)
        if bytes or why ~= "no hex" then return { bad = text } end
      end
      return { good = good }
    ]])
  end)

  it("has hex of either case", function()
    assert.same({ "00ff7a", true }, run [[return { crypto.hex "\0\xffz", crypto.hex_decode "00FF7a" == "\0\xffz" }]])
  end)

  it("compares", function()
    assert.same({ true, false, false, true }, run
      [[return { crypto.equal("a", "a"), crypto.equal("a", "b"), crypto.equal("a", "ab"), spate.equal("", "") }]])
  end)

  it("says what it expected, at the line of the mistake", function()
    assert.matches(":6: crypto.hash: no hash 'sha3'; there are md5, ", error_of '\ncrypto.hash("sha3", "x")')
    assert.matches(":6: crypto.hmac: expected a string, got nil$", error_of '\ncrypto.hmac("sha256", "x")')
    assert.matches(':6: crypto.hash: expected "hex", "raw", "base64" or "base64url", got 16$', error_of '\ncrypto.hash("md5", "x", 16)')
    assert.matches(":6: crypto.base64: unknown option 'padding'; it has url, pad$", error_of '\ncrypto.base64("x", { padding = false })')
    assert.matches(":6: crypto.equal: expected a string, got nil$", error_of '\ncrypto.equal("x")')
  end)
end)

describe("a password", function()
  after_each(function() server = server and server:close() end)

  it("has a hash that is another each time, and that it alone fits", function()
    local r = run [[
      local a, b = crypto.password.hash("secret", { cost = 1 }), crypto.password.hash("secret", { cost = 1 })
      return { a, b, crypto.password.verify("secret", a), crypto.password.verify("secret", b), crypto.password.verify("Secret", a),
        crypto.password.verify("", a), crypto.password.verify("secret", a:sub(1, -2)), crypto.password.verify("secret", nil) }
    ]]
    assert.matches("^%$y%$j75%$", r[1])
    assert.equal(73, #r[1])
    assert.is_true(r[1] ~= r[2])
    assert.same({ true, true, false, false, false, false }, { table.unpack(r, 3) })
  end)

  it("may have a hash that others have made", function()
    assert.same({ true, false }, run [[return {
      crypto.password.verify("Hello world!", "$6$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/O817G3uBnIFNjnQJuesI68u4OTLiBFdcbYEdFCoEOfaS35inz1"),
      crypto.password.verify("Hello world", "$6$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/O817G3uBnIFNjnQJuesI68u4OTLiBFdcbYEdFCoEOfaS35inz1") }]])
  end)

  it("fits none of what is no hash, or of an outdated kind", function()
    for _, hash in ipairs { "", "garbage", "secret", "*0", "*1", "ab01FAX.bQRSU", "$1$O3JMY.Tw$AdLnLjQ/5jXF9.MTp3gHv/", "$y$j9T$\\0" } do
      local r = run(('local ok, why, code = crypto.password.verify("secret", "%s") return { ok = ok, why = why, code = code }'):format(hash))
      assert.same({ nil, "password.verify: the hash is none that password.hash makes", "hash" }, { r.ok, r.why, r.code }, hash)
    end
    assert.same({ false, false }, run [[return { crypto.password.verify("secret", "$y$j9T$"), crypto.password.verify("secret", "$y$") }]])
  end)

  it("is refused where it is too long, or ends before its end", function()
    assert.same({ 73, "refused", "refused", false, false }, run [[
      local hash = crypto.password.hash(("x"):rep(511), { cost = 1 })
      return { #hash, (select(3, crypto.password.hash(("x"):rep(512)))), (select(3, crypto.password.hash "a\0b")),
        crypto.password.verify(("x"):rep(512), hash), crypto.password.verify(("x"):rep(511) .. "\0", hash) }
    ]])
  end)

  it("is hashed as the application is loaded, at once", function()
    server = helper.serve [[
      local HASH = spate.crypto.password.hash("secret", { cost = 1 })
      app:get("/", function() return { spate.crypto.password.verify("secret", HASH) } end)
    ]]
    assert.same({ true }, server:get("/"):json())
  end)

  it("costs what is asked for", function()
    assert.matches("^%$y%$j85%$", run [[return { (crypto.password.hash("secret", { cost = 2 })) }]][1])
    assert.matches(":6: crypto.password.hash: cost: expected 1 to 11, got 12$", error_of '\ncrypto.password.hash("x", { cost = 12 })')
  end)

  it("waits for its turn, where all threads are at work; of too many some are refused", function()
    local r = run [[
      local made, busy, why = 0, 0, nil
      local tasks = {}
      for i = 1, 103 do
        tasks[i] = sse.spawn(function()
          local hash, message, code = crypto.password.hash("x", { cost = 1 })
          if hash then made = made + 1 elseif code == "busy" then busy, why = busy + 1, message end
        end)
      end
      for _, task in ipairs(tasks) do task:join() end
      return { made, busy, why, spate.stats().work_total, spate.stats().work_busy_total }
    ]]
    assert.same({ 100, 3, "password.hash: too much waits for a thread already", 100, 3 }, r)
  end)

  it("is not hashed any more where nobody waits", function()
    server = helper.serve [[
      app:get("/", function() return spate.crypto.password.hash "secret" end)
      app:get("/work", function() return { spate.stats().work_total } end)
    ]]
    local res = server:get "/"
    res:close()
    server:turn()
    assert.same({ 1 }, server:get("/work"):json())
    assert.not_matches("error", server:log())
  end)

  it("cannot be hashed in a coroutine of the user's own", function()
    assert.matches("password.hash: cannot wait inside a coroutine of your own", error_of
      'local ok, err = coroutine.resume(coroutine.create(function() crypto.password.hash "x" end)) error(err, 0)')
  end)
end)
