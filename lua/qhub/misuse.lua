-- Raises what a program did wrong, at the line of the program that did it.
--
-- Misuse (a wrong type, an unknown option, a closed client) is a bug of the caller, so the message
-- carries the caller's position, however deep in this library it was noticed. The position is that
-- of the first stack level whose code is not ours. A host may have taken `debug` away; the message
-- then comes without a position.

local getinfo = type(debug) == "table" and debug.getinfo or nil

local own_sources = getinfo and getinfo(1, "S").source:match("^(.*[/\\])") or nil

local function is_own(source)
  return own_sources ~= nil and source:sub(1, #own_sources) == own_sources
end

local function position()
  if not getinfo then
    return ""
  end
  local level = 2
  while true do
    local info = getinfo(level, "Sl")
    if not info then
      return ""
    end
    if info.currentline > 0 and not is_own(info.source) then
      return info.short_src .. ":" .. info.currentline .. ": "
    end
    level = level + 1
  end
end

--- Raises `message` (formatted with the further arguments) at the caller's line.
local function misuse(message, ...)
  if select("#", ...) > 0 then
    message = message:format(...)
  end
  error(position() .. message, 0)
end

return misuse
