-- SPDX-License-Identifier: MIT
-- Sections of a README, and what they are as pages of the manual.
local roff = require "spate.manual.roff"

local markdown = {}

local function is_named(title, name)
  title, name = title:lower(), name:lower()
  local short = title:match "^(.-):"
  return title == name or short == name or short == "spate." .. name
end

-- What stands beneath a heading, whole, as far as its colon, or without "spate.", up to the next one that is no lower; nil where there is none of this name.
function markdown.section(text, name)
  local at, inside, level, list = 1, false, nil, nil
  for line in (text .. "\n"):gmatch "([^\n]*)\n" do
    if line:find "^```" then inside = not inside end
    local marks, title = line:match "^(#+) (.*)$"
    if inside then marks = nil end
    if list and marks and #marks <= level then break end
    if list then list[#list + 1] = line
    elseif marks and is_named(title, name) then level, list = #marks, {} end
    at = at + 1
  end
  return list and (table.concat(list, "\n"):gsub("^\n+", ""):gsub("\n+$", "")) or nil
end

-- The names of all sections, in their order.
function markdown.names(text)
  local names, inside = {}, false
  for line in (text .. "\n"):gmatch "([^\n]*)\n" do
    if line:find "^```" then inside = not inside end
    local title = not inside and line:match "^##+ (.*)$"
    if title then names[#names + 1] = title end
  end
  return names
end

-- The cells of a table's line; nil of its rule, and of any other.
function markdown.cells(line)
  if not line:find "^|" or line:find "^|[-|: ]+$" then return nil end
  local cells, code = {}, line:gsub("`[^`]*`", function(c) return (c:gsub("|", "\1")) end)
  for cell in code:gsub("^|", ""):gmatch "([^|]*)|" do cells[#cells + 1] = (cell:gsub("\1", "|"):match "^%s*(.-)%s*$") end
  return cells
end

local Page = {}
Page.__index = Page

function Page:flush()
  if self.paragraph then
    self.out[#self.out + 1] = self.is_item and ".IP \\(bu 2" or ".PP"
    roff.text(self.paragraph, self.out)
  end
  self.paragraph, self.is_item = nil, false
end

function Page:literal(text)
  self:flush()
  self.out[#self.out + 1] = ".PP"
  self.out[#self.out + 1] = ".RS 2"
  roff.literal(text, self.out)
  self.out[#self.out + 1] = ".RE"
end

function Page:row(line)
  self:flush()
  local cells = markdown.cells(line)
  if not cells then return end
  local name = table.remove(cells, 1)
  if name == "" then return end -- a head without words
  roff.entry(name, table.concat(cells, "; "), self.out)
end

function Page:line(line)
  local marks, title = line:match "^(#+) (.*)$"
  local item = line:match "^%- (.*)$"
  if marks then
    self:flush()
    roff.heading(".SS", title, self.out)
  elseif line:find "^|" then self:row(line)
  elseif line == "" then self:flush()
  elseif item then
    self:flush()
    self.paragraph, self.is_item = item, true
  else self.paragraph = self.paragraph and self.paragraph .. " " .. line:gsub("^ +", "") or line end
end

-- Appends a section's text as man(7) has it.
function markdown.to_man(text, out)
  local page = setmetatable({ out = out }, Page)
  local at = 1
  while at <= #text do
    local code, behind = text:match("^```%w*\n(.-)\n```\n?()", at)
    local block, after = text:match("^(    [^\n]*\n?)()", at)
    if code then page:literal(code) at = behind
    elseif block and not page.paragraph then
      local lines = {}
      while block do
        lines[#lines + 1], at = block:sub(5):gsub("\n$", ""), after
        block, after = text:match("^(    [^\n]*\n?)()", at)
      end
      page:literal(table.concat(lines, "\n"))
    else
      local line, next_at = text:match("^([^\n]*)\n?()", at)
      page:line(line)
      at = next_at
    end
  end
  page:flush()
end

return markdown
