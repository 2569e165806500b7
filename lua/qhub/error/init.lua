-- Errors: the error object for what the outside world did wrong, and usage errors for what the
-- program did.
--
-- Error objects are made by the Lua layer only; C reports codes and plain messages. Fields are
-- those of the public interface: kind, message, status_code, headers, body, method, url, attempts,
-- sent, phase, retry_after, request_id, execution, result, logs, cause.
--
-- A usage error (a wrong type, an unknown option, a closed client) is a bug of the caller, so its
-- message carries the caller's position, however deep in this library it was noticed: that of the
-- first stack level whose code is not ours. An error object has the same position as `where`; in a
-- task it is found on the task's own stack. A host may have taken `debug` away; both then come
-- without a position.

local text = require "qhub.error.text"

local Error = { __name = "qhub.Error" }
Error.__index = Error

--- One readable line. Kind first, so that logs can be searched for it.
function Error:__tostring()
  local line = "qhub " .. self.kind .. " error: " .. self.message
  if self.method and self.url then
    line = line .. " (" .. self.method .. " " .. text.line(self.url, 2000)
    if self.attempts and self.attempts > 1 then
      line = line .. ", " .. self.attempts .. " attempts"
    end
    line = line .. ")"
  end
  if self.where then line = line .. " at " .. self.where end
  return line
end

function Error.__concat(left, right)
  return tostring(left) .. tostring(right)
end

local errors = {}

local getinfo = type(debug) == "table" and debug.getinfo or nil

-- What the names of our chunks begin with: this file is qhub/error/init.lua. The first is that of
-- compiled files (scripts/compile.lua).
local own_sources = { "=qhub/", getinfo and getinfo(1, "S").source:match "^(.*[/\\])[^/\\]+[/\\]" }

--- Counts the files in `folder` (which ends in a slash) as ours, too.
function errors.add_own_folder(folder)
  own_sources[#own_sources + 1] = "@" .. folder
end

local function is_own(source)
  for _, own in ipairs(own_sources) do
    if source:sub(1, #own) == own then return true end
  end
  return false
end

-- The line of the program that called this library ("file.lua:12"), or nil.
local function position()
  if not getinfo then return nil end
  local level = 2
  while true do
    local info = getinfo(level, "Sl")
    if not info then return nil end
    if info.currentline > 0 and not is_own(info.source) then
      return info.short_src .. ":" .. info.currentline
    end
    level = level + 1
  end
end

--- Makes an error object of `fields` (taken over, not copied); `kind` and `message` are required.
--- `where` is found out unless it is given.
function errors.new(fields)
  fields.where = fields.where or position()
  return setmetatable(fields, Error)
end

--- True when `value` is an error object of this library.
function errors.is_error(value)
  return type(value) == "table" and getmetatable(value) == Error
end

--- Raises `message` (formatted with the further arguments) at the caller's line.
function errors.usage(message, ...)
  if select("#", ...) > 0 then message = message:format(...) end
  local where = position()
  error(where and where .. ": " .. message or message, 0)
end

return errors
