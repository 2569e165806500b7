-- What every source file looks like: it begins with a comment that says what it is for, is not too
-- long, has lines of at most 100 columns, no tabs, no reminders to oneself.
package.path = "./scripts/lint/?.lua;" .. package.path
local source = require("source")
local report = source.report()

local MAX_COLUMNS = 100
-- Lines of a file.
local MAX_LINES = {
  { "^src/", 450 },
  { "^lua/", 450 },
  { "^", 800 },
}
-- In two halves, or this file would find itself.
local REMINDERS = { "TO" .. "DO", "FIX" .. "ME", "XX" .. "X", "HA" .. "CK" }

local function max_lines(name)
  for _, rule in ipairs(MAX_LINES) do
    if name:find(rule[1]) then return rule[2] end
  end
end

local function check_head(name, text)
  text = text:gsub("^#![^\n]*\n", "")
  local ok = text:find("^%-%-") or text:find("^/%*") or text:find("^//") or text:find("^#")
  if not ok then report("%s:1: begins without a comment that says what the file is for", name) end
end

local function check_line(name, number, line)
  local columns = utf8.len(line)
  if not columns then
    report("%s:%d: is not UTF-8", name, number)
  elseif columns > MAX_COLUMNS and not line:find("^%-%-%-@") then -- annotations cannot be broken
    report("%s:%d: %d columns", name, number, columns)
  end
  if line:find("\t") and not name:find("%.mk$") and name ~= "Makefile" then
    report("%s:%d: a tab", name, number)
  end
  if line:find("%s$") then report("%s:%d: blanks at the end", name, number) end
  for _, word in ipairs(REMINDERS) do
    if line:find("%f[%w]" .. word .. "%f[%W]") then
      report("%s:%d: %s: do it or leave it", name, number, word)
    end
  end
end

local FOLDERS = { "src", "lua", "spec", "examples", "scripts", "fuzz", "bench", "types", "mk" }
local files = source.files(FOLDERS, { ".c", ".h", ".lua", ".sh", ".mk" })
files[#files + 1] = "Makefile"
files[#files + 1] = ".ci/run"
for _, name in ipairs(files) do
  local text = source.read(name)
  check_head(name, text)
  if text:sub(-1) ~= "\n" or text:sub(-2) == "\n\n" then
    report("%s: does not end with one newline", name)
  end
  local count = 0
  for number, line in source.lines(text) do
    count = number
    check_line(name, number, line)
  end
  if count > max_lines(name) then
    report("%s: %d lines, more than %d", name, count, max_lines(name))
  end
end

report:finish("text")
