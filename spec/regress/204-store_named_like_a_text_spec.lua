-- SPDX-License-Identifier: MIT
-- A store whose path was mistyped moved whatever file had that name out of the way, as if it were a damaged store.
local sqlite_files = require "spec.sqlite_files"
local lfs = require "lfs"

describe("a store at the path of another file", function()
  local folder, path

  before_each(function()
    folder = sqlite_files.folder()
    path = folder .. "/notes.txt"
  end)
  after_each(function() sqlite_files.remove(folder) end)

  local function refusal()
    local ok, err = pcall(sqlite_files.serve, "-- nothing\n", path)
    if ok then err:close() end
    collectgarbage() -- the server that was not to be
    assert.is_false(ok)
    return err
  end

  local function write(text)
    local f <close> = assert(io.open(path, "w"))
    f:write(text)
  end

  local function files()
    local list = {}
    for name in lfs.dir(folder) do if not name:find "^%.%.?$" then list[#list + 1] = name end end
    return table.concat(list, " ")
  end

  for what, text in pairs { ["a text"] = ("my notes\n"):rep(300), ["a short one"] = "hello", ["one byte"] = "x", ["the head of a database"] = "SQLite format 3\0",
    ["a damaged database of something else"] = "SQLite format 3\0" .. ("\7"):rep(8000) } do
    it("is refused, and leaves " .. what .. " as it is", function()
      write(text)
      assert.match(path .. ": it is a file of something else, no store: name another file (SQLite: file is not a database)", refusal(), 1, true)
      assert.equal("notes.txt", files())
      local f <close> = assert(io.open(path))
      assert.equal(text, f:read "a")
    end)
  end

  it("puts one aside that a crash has left full of zeros", function()
    write(("\0"):rep(8192))
    local server = sqlite_files.serve("-- nothing\n", path)
    finally(function() server:close() end)
    assert.match("the file is damaged: it is " .. path .. ".corrupt-1700000000 now", server:log(), 1, true)
  end)

  it("says that a folder is one", function()
    path = folder
    assert.match(folder .. ": it is a directory: name a file in it", refusal(), 1, true)
  end)

  it("says nothing of SQLite where that has nothing to say", function()
    assert(os.execute(("sqlite3 %s 'create table t (x)'"):format(path)))
    assert.match("it is a database of something else: name another file$", refusal())
  end)
end)
