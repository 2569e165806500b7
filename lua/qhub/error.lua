-- The error object: what the outside world did wrong, with everything that is known of it.
--
-- Made only by the Lua layer; C reports codes and plain messages. The fields are those of the
-- public interface: kind, message, status_code, headers, body, method, url, attempts, sent, phase,
-- retry_after, request_id, execution, result, logs, cause. Knows nothing of HTTP.

local show = require "qhub.show"

local Error = { __name = "qhub.Error" }
Error.__index = Error

--- One readable line. Kind first, so that logs can be searched for it.
function Error:__tostring()
  local text = "qhub " .. self.kind .. " error: " .. self.message
  if self.method and self.url then
    text = text .. " (" .. self.method .. " " .. show.url(self.url)
    if self.attempts and self.attempts > 1 then
      text = text .. ", " .. self.attempts .. " attempts"
    end
    text = text .. ")"
  end
  return text
end

function Error.__concat(left, right)
  return tostring(left) .. tostring(right)
end

local errors = {}

--- Makes an error object of `fields` (taken over, not copied); `kind` and `message` are required.
function errors.new(fields)
  assert(fields.kind and fields.message, "an error needs a kind and a message")
  return setmetatable(fields, Error)
end

--- True when `value` is an error object of this library.
function errors.is_error(value)
  return type(value) == "table" and getmetatable(value) == Error
end

return errors
