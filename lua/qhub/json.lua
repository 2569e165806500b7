-- `qhub.json`: the C module's encoder and decoder with this library's ways of failing.
--
-- Encoding what JSON cannot hold is a usage error and raises at the caller's line; a text that does not
-- decode came from outside and is returned as an error object.

local core = require "qhub.core"
local errors = require "qhub.error"
local usage_error = require("qhub.error").usage
local show = require "qhub.text"

local json = {
  null = core.json.null,
  array = core.json.array,
  object = core.json.object,
}

--- JSON text of `value`; raises with the path of what JSON cannot hold.
function json.encode(value)
  local ok, text = pcall(core.json.encode, value)
  if not ok then
    if type(text) ~= "string" or text == "not enough memory" then
      error(text, 0)
    end
    usage_error("%s", text)
  end
  return text
end

--- The value of a JSON `text`, or nil and an error object of kind "decode" with line and column.
function json.decode(text)
  if type(text) ~= "string" then
    usage_error("json.decode: a string is needed, got %s", show.value(text))
  end
  local value, message, line, column = core.json.decode(text)
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
