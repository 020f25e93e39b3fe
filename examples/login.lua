-- spate serve examples/login.lua, then open http://127.0.0.1:8080 and log in as ann with the password "secret"
local spate, sse, json = require "spate", require "spate.sse", require "spate.json"
local app, reply = spate.app(), spate.reply

local PASSWORDS = { ann = "secret", bob = "hunter2" }

-- Without a secret of its own every start signs everybody out.
local secret = spate.env("SESSION_SECRET") or spate.uuid() .. spate.uuid()

app:use(spate.allow_origins {}) -- no other site's page may post here
app:use(spate.session { secret = secret, max_age = 86400 })

local function signed_in(req, next)
  if not req.session.user then return reply.error(401, "log in first") end
  return next()
end

-- user=ann&password=secret, as a form sends it
local function fields_of(body)
  local fields = {}
  for name, value in body:gmatch "([^&=]+)=([^&]*)" do
    fields[name] = value:gsub("+", " "):gsub("%%(%x%x)", function(hex) return string.char(tonumber(hex, 16)) end)
  end
  return fields
end

app:post("/login", spate.rate_limit { rate = 5, per = 60 }, function(req)
  local form = fields_of(req:body(1000) or "")
  local expected = PASSWORDS[form.user]
  if not expected or not spate.equal(form.password or "", expected) then return reply.error(403, "wrong name or password") end
  req.session = { user = form.user }
  return reply.redirect "/"
end)

app:post("/logout", function(req)
  req.session = nil
  return reply.redirect "/"
end)

app:get("/events", signed_in, function(req)
  local user = req.session.user
  return sse.reply(sse.interval(1, function(n) return ("%s, you have been here for %d s"):format(user, n) end))
end)

app:get("/", function(req)
  if not req.session.user then
    return reply.html [[<form method="post" action="/login"><input name="user"><input name="password" type="password"><button>Log in</button></form>]]
  end
  return reply.html [[<p id="out"></p><form method="post" action="/logout"><button>Log out</button></form>
<script>new EventSource("/events").onmessage = e => out.textContent = e.data</script>]]
end)

return app
