-- Settings; `spate check` reads them. These are the defaults: take the dashes away from what you change.
return {
  -- listen = { "127.0.0.1:8080" },   -- also "unix:PATH"
  -- workers = 1,                     -- threads; "auto" is one per core. Each has Lua variables of its own
  -- limits = {
  --   body = 1024 * 1024,            -- bytes of a request's body
  --   event = 4 * 1024 * 1024,       -- bytes of an event
  --   queue_high = 256 * 1024,       -- bytes that a slow client leaves before its producer waits
  --   lua_memory = 512 * 1024 * 1024,-- of one worker
  -- },
  -- keep_alive = { interval = 15 },  -- seconds of silence before a comment
  -- shutdown = { grace = 30, window = 5, retry = 1 },
  -- log = { level = "info", format = "text", access = true },
}
