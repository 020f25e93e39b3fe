-- SPDX-License-Identifier: MIT
-- spate.datastar, by the cases of the suite for Datastar's SDKs.
local helper = require "spec.helper"

-- What that suite asks of a server: the events that the request's signals name.
local APP = [[
local ds = require "spate.datastar"

local MAKE = {
  patchElements = function(e)
    return ds.patch_elements(e.elements, { selector = e.selector, mode = e.mode, use_view_transition = e.useViewTransition,
      namespace = e.namespace, id = e.eventId, retry = e.retryDuration and e.retryDuration / 1000 })
  end,
  patchSignals = function(e)
    return ds.patch_signals(e["signals-raw"] or e.signals, { only_if_missing = e.onlyIfMissing, id = e.eventId,
      retry = e.retryDuration and e.retryDuration / 1000 })
  end,
  executeScript = function(e)
    return ds.execute_script(e.script, { auto_remove = e.autoRemove, attributes = e.attributes, id = e.eventId,
      retry = e.retryDuration and e.retryDuration / 1000 })
  end,
}

app:all("/test", function(req)
  local signals, err = ds.read_signals(req)
  if not signals then return reply.error(400, err) end
  local events = json.decode(req.method == "GET" and req.query.datastar or req:body(), { null = json.null }).events
  return sse.reply(sse.from(events):map(function(e) return MAKE[e.type](e) end))
end)
]]

local function escaped(text) return (text:gsub("[^%w]", function(c) return ("%%%02X"):format(c:byte()) end)) end

-- As the suite compares: what is not elements or signals may come in any order, as may attributes.
local function normal(text)
  local events = {}
  for event in text:gmatch "(.-)\n\n" do
    local first, rest = {}, {}
    for line in event:gmatch "[^\n]+" do
      local attributes = {}
      line = line:gsub('<script( [^>]*)>', function(list)
        for one in list:gmatch ' ([%w-]+="[^"]*")' do attributes[#attributes + 1] = one end
        table.sort(attributes)
        return "<script " .. table.concat(attributes, " ") .. ">"
      end)
      local list = (line:find "^data: elements" or line:find "^data: signals") and rest or first
      list[#list + 1] = line
    end
    table.sort(first)
    events[#events + 1] = table.concat(first, "\n") .. "\n" .. table.concat(rest, "\n")
  end
  return events
end

describe("spate.datastar", function()
  local server

  before_each(function() server = helper.serve(APP) end)
  after_each(function() server:close() end)

  for _, case in ipairs(require "spec.vectors.datastar") do
    it("does what the SDK's suite expects: " .. case.name, function()
      local res = case.name:find "^get" and server:get("/test?datastar=" .. escaped(case.input)) or server:post("/test", { body = case.input })
      assert.equal(200, res:status())
      assert.same(normal(case.output), normal((res:body())))
    end)
  end

  it("says what is wrong with the signals of a request", function()
    for _, target in ipairs { "/test", "/test?datastar=", "/test?datastar=%7B", "/test?datastar=1", "/test?datastar=%5B1%5D", "/test?datastar=%5B%5D", "/test?datastar=null" } do
      assert.equal(400, server:get(target):status(), target)
    end
    assert.equal(400, server:post("/test", { body = "{" }):status())
  end)

  it("raises at the user's line what Datastar would not take", function()
    local ds = 'require "spate.datastar".'
    helper.refuses {
      [ds .. "patch_elements()"] = "datastar.patch_elements: expected a string, got nil",
      [ds .. 'patch_elements(" ")'] = "datastar.patch_elements: expected elements, got an empty text",
      [ds .. 'patch_elements("<p>", { mode = "merge" })'] = "datastar.patch_elements: mode: expected outer, inner, replace, prepend, append, before, after or remove, got merge",
      [ds .. 'patch_elements("<p>", { selector = "a\\nb" })'] = "datastar.patch_elements: selector: must not contain line breaks",
      [ds .. 'patch_elements("<p>", { namespace = "xml" })'] = "datastar.patch_elements: namespace: expected html, svg or mathml, got xml",
      [ds .. 'patch_elements("<p>", { viewTransition = true })'] = "datastar.patch_elements: unknown option 'viewTransition'",
      [ds .. "patch_signals(1)"] = "datastar.patch_signals: expected a table, or JSON as a text, got number",
      [ds .. 'patch_signals("{")'] = "datastar.patch_signals: line 1, column",
      [ds .. "patch_signals({ f = print })"] = "datastar.patch_signals: ",
      [ds .. "remove_elements()"] = "datastar.remove_elements: expected a string, got nil",
      [ds .. "remove_signals {}"] = "datastar.remove_signals: expected a list of strings, got none",
      [ds .. 'execute_script("x", { attributes = { ["a b"] = 1 } })'] = "datastar.execute_script: attributes: no name of an attribute: a b",
    }
  end)

  it("keeps what comes from elsewhere where it belongs", function()
    local other = helper.serve [[
local ds = require "spate.datastar"
app:get("/", function()
  return sse.reply {
    ds.execute_script('alert("</sCript><b>")', { attributes = { title = 'a"b' } }), ds.patch_elements("<p>\r\n\r<p>"),
    ds.remove_elements "#a", ds.remove_signals { "user.name", "user.mail", "x" }, ds.patch_signals({}, { retry = 1 }) }
end)]]
    assert.same({ 'mode append\nselector body\nelements <script title="a&quot;b" data-effect="el.remove()">alert("<\\/sCript><b>")</script>',
      "elements <p>\nelements \nelements <p>", "selector #a\nmode remove", 'signals {"user":{"mail":null,"name":null},"x":null}', "signals {}" },
      other:get("/"):data())
    other:close()
  end)
end)
