-- What the checks of `make lint` share: listing files, reading them, reporting.
local source = {}

-- The files under the given folders (or the files themselves) whose names end in one of the given
-- endings, sorted. Folders that are not there count as empty.
function source.files(folders, endings)
  local found = {}
  local list = assert(io.popen("find " .. table.concat(folders, " ") .. " -type f 2>/dev/null"))
  for name in list:lines() do
    for _, ending in ipairs(endings) do
      if name:sub(-#ending) == ending then
        found[#found + 1] = name
        break
      end
    end
  end
  list:close()
  table.sort(found)
  return found
end

function source.read(name)
  local file = assert(io.open(name, "rb"))
  local text = file:read("a")
  file:close()
  return text
end

-- An iterator over the lines of a text, numbered.
function source.lines(text)
  local number = 0
  local next_line = text:gsub("\n$", ""):gmatch("([^\n]*)\n?")
  return function()
    local line = next_line()
    if line then
      number = number + 1
      return number, line
    end
  end
end

-- A collector of findings: `report(place, ...)` formats one, `report:finish(name)` prints them and
-- ends the process, with status 1 if there were any.
function source.report()
  local findings = {}
  return setmetatable({
    finish = function(_, name)
      for _, finding in ipairs(findings) do
        io.stderr:write(name, ": ", finding, "\n")
      end
      os.exit(#findings == 0)
    end,
  }, {
    __call = function(_, format, ...)
      findings[#findings + 1] = format:format(...)
    end,
  })
end

return source
