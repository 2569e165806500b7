-- Prints the lines that make `require "qhub"` find an installation, when Lua does not look there.
--
--   lua5.4 scripts/search_paths.lua LUA_DIR LIB_DIR
local lua_dir, lib_dir = arg[1], arg[2]

local function searches(path, folder)
  return (";" .. path .. ";"):find(";" .. folder .. "/?", 1, true) ~= nil
end

if not searches(package.path, lua_dir) then
  print(('export LUA_PATH="%s/?.lua;%s/?/init.lua;;"'):format(lua_dir, lua_dir))
end
if not searches(package.cpath, lib_dir) then
  print(('export LUA_CPATH="%s/?.so;;"'):format(lib_dir))
end
