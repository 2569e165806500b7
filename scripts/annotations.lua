-- Reads the annotations of types/qhub.lua, for docs/reference.md (scripts/reference.lua) and for
-- the spec that holds them against the library.
--
-- Understands what that file uses of lua-language-server's notation, and raises for anything else
-- rather than leaving it out.

local annotations = {}

-- A type from the start of `text`: up to the first blank outside brackets and quotes that does not
-- follow a colon or a comma (as in `fun(x: string): string?, string?`). Returns it and the rest.
local function split_type(text)
  local depth, quoted, previous = 0, false, ""
  for at = 1, #text do
    local character = text:sub(at, at)
    if character == '"' then
      quoted = not quoted
    elseif not quoted and character:find "[(<{%[]" then
      depth = depth + 1
    elseif not quoted and character:find "[)>}%]]" then
      depth = depth - 1
    elseif character == " " and depth == 0 and not quoted and not previous:find "[:,]" then
      return text:sub(1, at - 1), text:sub(at + 1)
    end
    previous = character
  end
  return text, ""
end

local function member(text)
  local name, rest = text:match "^(%[[^%]]+%])%s+(.+)$"
  if not name then
    name, rest = text:match "^(%S+)%s*(.*)$"
  end
  local is_optional = name:sub(-1) == "?"
  local kind, description = split_type(rest)
  return {
    name = is_optional and name:sub(1, -2) or name,
    optional = is_optional,
    type = kind,
    description = description,
  }
end

-- `@return TYPE NAME DESCRIPTION`; a single word after the type is a name.
local function returned(text)
  local kind, rest = split_type(text)
  local name, description = rest:match "^(%S+)%s*(.*)$"
  return { type = kind, name = name or "", description = description or "" }
end

local readers = {}

function readers.class(block, text)
  local name, parents = text:match "^([%w_.]+)%s*:?%s*(.*)$"
  block.kind, block.name, block.parents = "class", name, {}
  for parent in parents:gmatch "[%w_.]+" do
    table.insert(block.parents, parent)
  end
end

function readers.alias(block, text)
  block.kind = "alias"
  block.name, block.type = text:match "^(%S+)%s*(.*)$"
end

function readers.enum(block, text)
  block.kind, block.name = "enum", text
end

function readers.field(block, text)
  table.insert(block.fields, member(text))
end

function readers.param(block, text)
  table.insert(block.parameters, member(text))
end

readers["return"] = function(block, text)
  table.insert(block.returns, returned(text))
end

function readers.overload(block, text)
  table.insert(block.overloads, text)
end

function readers.generic() end

local function new_block(line_number)
  return {
    line = line_number,
    text = {},
    fields = {},
    parameters = {},
    returns = {},
    overloads = {},
    values = {},
    functions = {},
  }
end

local function read_comment(block, text)
  local tag, rest = text:match "^@(%a+)%s*(.*)$"
  if tag then
    local reader = readers[tag]
    if not reader then
      error("types/qhub.lua:" .. block.line .. ": unknown annotation @" .. tag, 0)
    end
    reader(block, rest)
  elseif text:find "^| " then
    local value, meaning = text:match '^| "([^"]*)" # (.*)$'
    table.insert(block.values, { value = value, meaning = meaning })
  else
    table.insert(block.text, text)
  end
end

--- The model of the file `path`: a list of entries in their order, each a chapter (kind "chapter",
--- title, text) or a class, alias or enum (name, parents, text, fields, overloads, values,
--- functions). A function has name, separator ("." or ":"), arguments, text, parameters, returns.
function annotations.read(path)
  local entries, by_variable, block = {}, {}, nil
  local chapter, number = nil, 0
  local function finish()
    if block and block.kind then entries[#entries + 1] = block end
  end
  for line in io.lines(path) do
    number = number + 1
    local comment = line:match "^%-%-%-(.*)$"
    local title = line:match "^%-%- # (.*)$"
    local remark = line:match "^%-%- (.*)$"
    local owner, separator, name, arguments = line:match "^function ([%w_]+)([.:])([%w_]+)%((.-)%)"
    local variable = line:match "^local ([%w_]+) = {}$"
    local value_name, value = line:match '^  ([%w_]+) = "(.*)",$'
    if number == 1 then -- ---@meta
      comment, remark = nil, nil
    end
    if comment then
      block = block or new_block(number)
      read_comment(block, comment)
    elseif owner then
      local class = assert(by_variable[owner], path .. ":" .. number .. ": no class " .. owner)
      block = block or new_block(number)
      block.name, block.separator, block.arguments = name, separator, arguments
      table.insert(class.functions, block)
      block = nil
    elseif variable then
      if block and block.kind == "class" then by_variable[variable] = block end
      finish()
      block = nil
    elseif value_name then
      table.insert(block.values, { name = value_name, value = value })
    elseif title then
      chapter = { kind = "chapter", title = title, text = {} }
      entries[#entries + 1] = chapter
    elseif remark and chapter and not block then
      table.insert(chapter.text, remark)
    elseif line == "" then
      finish()
      block = nil
    end
  end
  finish()
  return entries
end

--- The entry called `name`; raises when there is none.
function annotations.find(entries, name)
  for _, entry in ipairs(entries) do
    if entry.name == name then return entry end
  end
  error("types/qhub.lua has no " .. name, 2)
end

--- The fields of the class `name` and of its parents, as a list.
function annotations.all_fields(entries, name)
  local result = {}
  local entry = annotations.find(entries, name)
  for _, parent in ipairs(entry.parents) do
    table.move(annotations.all_fields(entries, parent), 1, 100, #result + 1, result)
  end
  table.move(entry.fields, 1, #entry.fields, #result + 1, result)
  return result
end

return annotations
