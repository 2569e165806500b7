-- Header fields: looked up in any case, merged by precedence, checked before they travel.
--
-- A response's headers are a table of lower-case names with a lookup that ignores case. A request's
-- headers are a plain table of lower-case names until the transport writes them out; false stands
-- for one that must not be sent.

local options = require "qhub.options"
local text = require "qhub.error.text"

local headers = {}

local Response = { __name = "qhub.Headers" }

function Response.__index(fields, name)
  if type(name) == "string" then return rawget(fields, name:lower()) end
end

--- Marks `fields` (lower-case names to strings) as a response's headers and returns it.
function headers.response(fields)
  return setmetatable(fields, Response)
end

--- The same for headers of unknown spelling, as another HTTP stack may give them. A list of values
--- is joined as RFC 9110 5.3 does it.
function headers.foreign(fields)
  local result = {}
  for name, value in pairs(fields or {}) do
    if type(value) == "table" then value = table.concat(value, ", ") end
    if type(name) == "string" then result[name:lower()] = tostring(value) end
  end
  return headers.response(result)
end

-- What the framing of a request depends on is not the program's to set.
local OWNED = { ["content-length"] = true, ["transfer-encoding"] = true }

-- RFC 9110 5.6.2 and 5.5. Not %w and %c: these depend on the host program's locale.
local NAME = "^[A-Za-z0-9!#$%%&'*+%-.^_`|~]+$"
local NO_VALUE = "[\0-\8\10-\31\127]"

--- A checker (see options/init.lua) that returns lower-case names to strings, or to false for a
--- header to be removed. Values may be credentials: messages name the header, never what it holds.
function headers.checked(given, option, where)
  if type(given) ~= "table" then
    options.refuse(where, option, "a table of names to values", given)
  end
  local result = {}
  for name, value in pairs(given) do
    local function refuse(fault, ...)
      options.deny(where, "the header " .. name, fault, ...)
    end
    if type(name) ~= "string" or not name:find(NAME) then
      options.deny(where, text.value(name), "is not a header name, which is like X-Request-Id")
    end
    local lower = name:lower()
    if OWNED[lower] then refuse "is set by qhub itself; leave it out" end
    if result[lower] ~= nil then refuse "is given twice, in two spellings" end
    if type(value) == "number" then value = tostring(value) end
    if value and type(value) ~= "string" then
      refuse("must be a string, a number, or false to remove it, got %s", type(value))
    elseif value and value:find(NO_VALUE) then
      refuse "has control characters in its value (a line break at its end?)"
    end
    result[lower] = value
  end
  return result
end

--- A new table: `base` with `over` laid over it; false removes.
function headers.merged(base, over)
  local result = options.extended(base, over or {})
  for name, value in pairs(result) do
    -- Accept-Encoding is what the engine adds by itself: a false stays, so that it does not.
    if not value and name ~= "accept-encoding" then result[name] = nil end
  end
  return result
end

--- `fields` as the lines that the engine sends, spelled as people expect them: "Name: value", each
--- with a line feed after it.
function headers.lines(fields)
  local lines = {}
  for name, value in pairs(fields) do
    -- libcurl sends a header without a value only with a semicolon.
    local rest = value == false and ":" or value == "" and ";" or ": " .. value
    lines[#lines + 1] = name:gsub("%f[%w]%l", string.upper) .. rest .. "\n"
  end
  return table.concat(lines)
end

return headers
