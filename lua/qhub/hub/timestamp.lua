-- `qhub.parse_timestamp`: the gateway's dates as seconds since the epoch.

local core = require "qhub.core"
local usage_error = require("qhub.error").usage
local show = require "qhub.text"

--- Seconds since the epoch (a number; UTC where `text` names no zone), or nil and a message.
local function parse_timestamp(text)
  if type(text) ~= "string" then
    usage_error("parse_timestamp: the timestamp must be a string, got %s", show.value(text))
  end
  return core.text.parse_timestamp(text)
end

return parse_timestamp
