-- A locale that writes 1,5 for one and a half, whatever the machine has installed: written here, in
-- the format of glibc, into a folder of its own.
--
-- A process looks for locales in LOCPATH when it first sets one, so it must be a child process:
-- `command` of what `new` returns runs one with it, and there `os.setlocale(name)` finds it.

local comma_locale = {}

-- The items of LC_NUMERIC are decimal point, thousands separator, grouping, the two again as wide
-- characters, and the charset; before them stand a magic number, their count and their offsets.
local function numeric_category()
  local items = ",\0" .. ".\0" .. "\3\3\0\0" .. string.pack("=I4I4", 44, 46) .. "UTF-8\0"
  local first = 8 * 4
  local header = string.pack("=I4I4", 0x20031114, 6)
  for _, offset in ipairs { 0, 2, 4, 8, 12, 16 } do
    header = header .. string.pack("=I4", first + offset)
  end
  return header .. items
end

-- Runs the Lua text `chunk` in a child process in which numbers have a comma, and returns what it
-- wrote. Raises when no such locale can be had.
function comma_locale.run(chunk)
  local folder = os.tmpname()
  local script = folder .. ".lua"
  assert(os.remove(folder))
  assert(os.execute(("mkdir -p '%s/qq_QQ'"):format(folder)))
  local file = assert(io.open(folder .. "/qq_QQ/LC_NUMERIC", "wb"))
  file:write(numeric_category())
  file:close()
  file = assert(io.open(script, "w"))
  file:write(
    ([[
    for _, name in ipairs { "qq_QQ", "de_DE.UTF-8", "de_DE", "fr_FR.UTF-8" } do
      if os.setlocale(name, "numeric") and ("%.1f"):format(1.5) == "1,5" then break end
    end
    assert(("%.1f"):format(1.5) == "1,5", "no locale with a decimal comma can be had here")
  ]]):gsub("\n%s*", " "),
    chunk
  )
  file:close()
  local lua = os.getenv "LUA" or "lua5.4"
  local pipe = assert(io.popen(("LOCPATH='%s' %s '%s' 2>&1"):format(folder, lua, script)))
  local output = pipe:read "a"
  local ok = pipe:close()
  os.execute(("rm -r '%s' '%s'"):format(folder, script))
  if not ok then error("the child process failed: " .. output, 2) end
  return output
end

return comma_locale
