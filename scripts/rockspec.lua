-- Keeps the lists of files in the rockspec equal to the tree: LuaRocks has no wildcards.
--
--   lua5.4 scripts/rockspec.lua --check | --write
--
-- What stands between a line `-- <NAME>` and the next `-- </NAME>` is generated, all else is
-- written by hand.
package.path = "./scripts/lint/?.lua;" .. package.path
local source = require("source")

local ROCKSPEC = "qhub-scm-1.rockspec"

local function c_sources()
  local lines = {}
  for _, name in ipairs(source.files({ "src" }, { ".c" })) do
    lines[#lines + 1] = ('        "%s",'):format(name)
  end
  return lines
end

local function lua_modules()
  local lines = {}
  for _, name in ipairs(source.files({ "lua/qhub" }, { ".lua" })) do
    local module = name:match("^lua/(.*)%.lua$"):gsub("/init$", ""):gsub("/", ".")
    local key = module:find(".", 1, true) and ('["%s"]'):format(module) or module
    lines[#lines + 1] = ('    %s = "%s",'):format(key, name)
  end
  return lines
end

-- `text` with what is between the marks NAME replaced by `lines`.
local function fill(text, name, lines)
  local from = select(2, text:find("%-%- <" .. name .. ">[^\n]*\n"))
  local to = text:find("[ ]*%-%- </" .. name .. ">")
  assert(from and to, ROCKSPEC .. ": no marks for " .. name)
  local body = table.concat(lines, "\n")
  return text:sub(1, from) .. (body ~= "" and body .. "\n" or "") .. text:sub(to)
end

local old = source.read(ROCKSPEC)
local new = fill(fill(old, "sources", c_sources()), "modules", lua_modules())
if arg[1] == "--write" then
  if new ~= old then
    local file = assert(io.open(ROCKSPEC, "wb"))
    assert(file:write(new))
    assert(file:close())
  end
elseif arg[1] == "--check" then
  if new ~= old then
    io.stderr:write("rockspec: the lists of files differ from the tree: run `make rockspec`\n")
    os.exit(1)
  end
else
  io.stderr:write("usage: lua5.4 scripts/rockspec.lua --check | --write\n")
  os.exit(2)
end
