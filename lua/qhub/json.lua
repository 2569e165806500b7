-- `qhub.json`: the C module's encoder and decoder with this library's ways of failing.
--
-- Encoding what JSON cannot hold is a usage error and raises at the caller's line; a text that does
-- not decode came from outside and is returned as an error object.

local core = require "qhub.core"
local errors = require "qhub.error"
local show = require "qhub.error.text"

local usage_error = errors.usage
local MAX_INDENT = 16

local json = {
  null = core.json.null,
  array = core.json.array,
  object = core.json.object,
}

-- Checks the options of encode or decode against `known`: names to types.
local function check_options(what, options, known)
  if type(options) ~= "table" then
    usage_error("json.%s: options must be a table, got %s", what, show.value(options))
  end
  for name, value in pairs(options) do
    if not known[name] then
      usage_error("json.%s: unknown option %s", what, show.value(name))
    elseif type(value) ~= known[name] then
      usage_error("json.%s: %s must be a %s, got %s", what, name, known[name], show.value(value))
    end
  end
  return options
end

--- JSON text of `value`; raises with the path of what JSON cannot hold. Members are in the order of
--- their names. `options.indent`: spaces for each level of a text in lines (default: one line).
function json.encode(value, options)
  local indent
  if options ~= nil then
    indent = check_options("encode", options, { indent = "number" }).indent
    if indent and not (math.tointeger(indent) and indent >= 0 and indent <= MAX_INDENT) then
      usage_error("json.encode: indent must be an integer from 0 to %d", MAX_INDENT)
    end
  end
  local ok, text = pcall(core.json.encode, value, indent)
  if not ok then
    if type(text) ~= "string" or text == "not enough memory" then error(text, 0) end
    usage_error("%s", text)
  end
  return text
end

--- The value of a JSON `text`, or nil and an error object of kind "decode" with line and column.
--- `options.nan`: accept NaN, Infinity and -Infinity as numbers (default: false).
function json.decode(text, options)
  if type(text) ~= "string" then
    usage_error("json.decode: expected a string, got %s", show.value(text))
  end
  local nan = options ~= nil and check_options("decode", options, { nan = "boolean" }).nan
  local value, message, line, column = core.json.decode(text, nan)
  if value == nil then
    return nil,
      errors.new {
        kind = "decode",
        message = ("line %d, column %d: %s"):format(line, column, message),
        line = line,
        column = column,
      }
  end
  return value
end

return json
