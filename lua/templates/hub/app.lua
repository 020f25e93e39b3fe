-- spate dev, then open http://localhost:8080 in two windows and change a price
-- A hub of the Mercure protocol beside the resources that it tells of. Their answers name it (Link), pages subscribe to topics of it
-- with EventSource, and publishers post updates to it with a token, or publish from here.
local spate, json = require "spate", require "spate.json"
local mercure = require "spate.mercure"
local app, reply = spate.app(), spate.reply

local hub = mercure.hub {
  key = spate.env("MERCURE_KEY", "change me: I am the key of all tokens"), alg = "HS256",
  anonymous = true,      -- whoever comes reads what is public; a token with mercure.subscribe reads private updates as well
  subscriptions = true,  -- /.well-known/mercure/subscriptions lists who listens, to tokens that may know
  history = 1000,
}
hub:serve(app)

local books = {
  ["1"] = { id = "1", title = "The Left Hand of Darkness", price = 9.5 },
  ["2"] = { id = "2", title = "Solaris", price = 8 },
}

app:get("/books", hub:link(), function()
  return json.array { books["1"], books["2"] }
end)

app:get("/books/:id", hub:link { topic = function(req) return req.path end }, function(req)
  return books[req.params.id] or reply.error(404, "no such book")
end)

app:put("/books/:id", function(req)
  local book, change, err = books[req.params.id], req:json()
  if not book then return reply.error(404, "no such book") end
  if type(change) ~= "table" or type(change.price) ~= "number" or change.price < 0 then
    return reply.error(400, err or "expected a price")
  end
  book.price = change.price
  hub:publish { topic = "/books/" .. book.id, data = json.encode(book) }
  return book
end)

app:get("/", function() return reply.file "page.html" end)

return app
