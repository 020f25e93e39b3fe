-- spate serve examples/login.lua, then open http://127.0.0.1:8080 and log in as ann with the password "secret"
local spate, sse, json = require "spate", require "spate.sse", require "spate.json"
local app, reply, password = spate.app(), spate.reply, spate.crypto.password

local HASHES = { -- made by `spate password`
  ann = "$y$j9T$gvU8fQ2uKz0eVn4S.B1bq/$74KkJy8N2GdIGOvFcc55kXpOd8jlmyDliDdVOwcPSp0",
  bob = "$y$j9T$t0mYk7bR4cJ.uQx5WzE3n/$tnesrhziYsg/IlUlZlBBknPU00TKU4cS6/ghwsACC/2",
}

-- Without a secret of its own every start signs everybody out.
local secret = spate.env("SESSION_SECRET") or spate.uuid() .. spate.uuid()

app:use(spate.allow_origins {}) -- no other site's page may post here
app:use(spate.session { secret = secret, max_age = 86400 })

local function signed_in(req, next)
  if not req.session.user then return reply.error(401, "log in first") end
  return next()
end

app:post("/login", spate.rate_limit { rate = 5, per = 60 }, function(req)
  local form = req:form() or {}
  local right, message, code = password.verify(form.password or "", HASHES[form.user or ""])
  if code == "busy" then return reply.error(503, message) end
  if not right then return reply.error(403, "wrong name or password") end
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
