-- SPDX-License-Identifier: MIT
-- Answers of each form: what becomes of a table, a redirection, an abort from deep within.
local says = require "spec.simulate.promises"

local FORMS = {
  { status = 200, code = "return { of = t }", content = '{"of":"%s"}' },
  { status = 201, code = 'return reply.json({ t }, 201)', content = '["%s"]' },
  { status = 200, code = 'return reply.html("<p>" .. spate.escape("<" .. t))', content = "<p>&lt;%s" },
  { status = 303, code = 'return reply.redirect("/" .. t)' },
  { status = 204, code = "return reply.status(204)" },
  { status = 200, code = 'return reply.body("\\0" .. t, "image/gif")', content = "\0%s" },
  { status = 418, code = 'local function find() spate.abort(418, "no such " .. t) end find()' },
  { status = 202, code = 'return reply.text(t):status(202):cookie("c", t)', content = "%s", cookie = "c=%s" },
}

local kind = { weight = 2, statuses = {} }

for _, form in ipairs(FORMS) do
  if form.status ~= 200 then kind.statuses[form.status] = "asked for" end
end

function kind.random(r)
  local form = r:int(1, #FORMS)
  return { form = form, status = FORMS[form].status }
end

function kind.code(r) return FORMS[r.form].code end

function kind.on_end(model, request, how)
  if how ~= "end" then return end
  local form = FORMS[request.route.form]
  model:expect(request.status == form.status and request.content == form.content:format(request.token), says.TEXT, "%s: %d and %q", request, request.status, request.content)
  local cookie = form.cookie and form.cookie:format(request.token)
  local has_fields = not request.client.is_mux or request.client.is_http2
  model:expect(not cookie or not has_fields or (request.fields["set-cookie"] or ""):sub(1, #cookie) == cookie, says.TEXT, "%s: no cookie", request)
end

return kind
