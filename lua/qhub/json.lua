-- `qhub.json`: the C module's encoder and decoder with this library's ways of failing.
--
-- Encoding what JSON cannot hold is a usage error and raises at the caller's line; a text that does
-- not decode came from outside and is returned as an error object.

local core = require "qhub.core"
local errors = require "qhub.error"
local options = require "qhub.options"

local check = options.check

-- Spaces for each level of a text in lines; whether NaN and infinities are numbers.
local ENCODE, DECODE = { indent = check.integer(0, 16) }, { nan = check.boolean }

local json = { null = core.json.null, array = core.json.array, object = core.json.object }

--- JSON text of `value`; raises with the path of what JSON cannot hold. Members are in the order of
--- their names. `options.indent`: spaces for each level of a text in lines (default: one line).
function json.encode(value, given)
  local indent = given ~= nil and options.checked(given, ENCODE, "json.encode").indent or nil
  local ok, text = pcall(core.json.encode, value, indent)
  if not ok then
    if type(text) ~= "string" or text == "not enough memory" then error(text, 0) end
    errors.usage("%s", text)
  end
  return text
end

--- The value of a JSON `text`, or nil and an error object of kind "decode" with line and column.
--- `options.nan`: accept NaN, Infinity and -Infinity as numbers (default: false).
function json.decode(text, given)
  if type(text) ~= "string" then options.refuse("json.decode", "the text", "a string", text) end
  local nan = given ~= nil and options.checked(given, DECODE, "json.decode").nan
  local value, message, line, column = core.json.decode(text, nan)
  if value ~= nil then return value end
  message = ("line %d, column %d: %s"):format(line, column, message)
  return nil, errors.new { kind = "decode", message = message, line = line, column = column }
end

return json
