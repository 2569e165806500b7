-- Writes docs/reference.md from the annotations in types/qhub.lua.
--
--   lua5.4 scripts/reference.lua --check | --write

package.path = "./scripts/?.lua;" .. package.path
local annotations = require "annotations"

local TYPES, REFERENCE = "types/qhub.lua", "docs/reference.md"
local COLUMNS = 100

local entries = annotations.read(TYPES)

local lines = {}
local function write(line)
  lines[#lines + 1] = line or ""
end

local function anchor(name)
  return "#" .. name:lower():gsub("[^%w_ -]", ""):gsub(" ", "-")
end

local headings = {}
for _, entry in ipairs(entries) do
  if entry.name then headings[entry.name] = true end
end

-- A type as code, with links after it would be unreadable: the names of our own types link instead.
local function type_text(kind)
  local name = kind:match "^([%w_.]+)%??$"
  if name and headings[name] then return ("[`%s`](%s)"):format(kind, anchor(name)) end
  return "`" .. kind:gsub("|", "\\|") .. "`"
end

local function cell(text)
  return (text:gsub("|", "\\|"))
end

-- A paragraph, wrapped, with `prefix` before its first line and blanks before the others.
local function wrap(text, prefix)
  local line, indent = prefix or "", (" "):rep(#(prefix or ""))
  local is_empty = true
  for word in text:gmatch "%S+" do
    local addition = is_empty and word or " " .. word
    if not is_empty and #line + #addition > COLUMNS then
      write(line)
      line = indent .. word
    else
      line = line .. addition
    end
    is_empty = false
  end
  write(line)
end

local function paragraphs(text)
  local current = {}
  for _, line in ipairs(text) do
    if line == "" then
      wrap(table.concat(current, " "))
      write()
      current = {}
    else
      current[#current + 1] = line
    end
  end
  if current[1] then
    wrap(table.concat(current, " "))
    write()
  end
end

local function fields(entry)
  if not entry.fields[1] then return end
  write "| field | type | meaning |"
  write "| --- | --- | --- |"
  for _, field in ipairs(entry.fields) do
    local kind = type_text(field.type .. (field.optional and "?" or ""))
    write(("| `%s` | %s | %s |"):format(field.name, kind, cell(field.description)))
  end
  write()
end

local function values(entry)
  if not entry.values[1] then return end
  local is_enum = entry.kind == "enum"
  write(is_enum and "| name | value |" or "| value | meaning |")
  write "| --- | --- |"
  for _, value in ipairs(entry.values) do
    if is_enum then
      write(("| `%s` | `%s` |"):format(value.name, value.value))
    else
      write(("| `%s` | %s |"):format(value.value, cell(value.meaning)))
    end
  end
  write()
end

local function bullet(what, description)
  wrap(what .. (description ~= "" and " – " .. description or ""), "- ")
end

local VARIABLES = {
  ["qhub.HubServiceClient"] = "client",
  ["qhub.Execution"] = "execution",
  ["qhub.File"] = "file",
  ["qhub.Task"] = "task",
  ["qhub.Error"] = "err",
}

local function function_entry(class, fn)
  local owner = VARIABLES[class.name] or class.name
  write(("#### `%s%s%s(%s)`"):format(owner, fn.separator, fn.name, fn.arguments))
  write()
  paragraphs(fn.text)
  for _, parameter in ipairs(fn.parameters) do
    local kind = type_text(parameter.type .. (parameter.optional and "?" or ""))
    bullet(("`%s` %s"):format(parameter.name, kind), parameter.description)
  end
  for _, value in ipairs(fn.returns) do
    local name = value.name ~= "" and value.name ~= "..." and " " .. value.name or ""
    bullet(("returns %s%s"):format(type_text(value.type), name), value.description)
  end
  if fn.parameters[1] or fn.returns[1] then write() end
end

local function parents(entry)
  if not entry.parents or not entry.parents[1] then return end
  local names = {}
  for index, parent in ipairs(entry.parents) do
    names[index] = type_text(parent)
  end
  write(
    "Takes everything of " .. table.concat(names, " and ") .. (entry.fields[1] and ", and" or ".")
  )
  write()
end

write "# Reference"
write()
write "<!-- Written by `make docs` from types/qhub.lua: edit that file instead. -->"
write()
wrap(
  'Everything that `require "qhub"` offers. `?` marks what may be absent or nil. '
    .. "The [guide](README.md) shows how it is used."
)
write()
for _, entry in ipairs(entries) do
  if entry.kind == "chapter" then
    write("## " .. entry.title)
    write()
    paragraphs(entry.text)
  else
    write("### " .. entry.name)
    write()
    paragraphs(entry.text)
    parents(entry)
    if entry.kind == "alias" and entry.type ~= "" then
      write("`" .. entry.type .. "`")
      write()
    end
    for _, overload in ipairs(entry.overloads) do
      write("Callable: `" .. overload .. "`")
      write()
    end
    fields(entry)
    values(entry)
    for _, fn in ipairs(entry.functions) do
      function_entry(entry, fn)
    end
  end
end
local text = table.concat(lines, "\n"):gsub("\n+$", "") .. "\n"

if arg[1] == "--write" then
  local file = assert(io.open(REFERENCE, "wb"))
  assert(file:write(text))
  assert(file:close())
elseif arg[1] == "--check" then
  local file = io.open(REFERENCE, "rb")
  if not file or file:read "a" ~= text then
    io.stderr:write(REFERENCE .. " is not what types/qhub.lua says: run `make docs`\n")
    os.exit(1)
  end
else
  io.stderr:write "usage: lua5.4 scripts/reference.lua --check | --write\n"
  os.exit(2)
end
