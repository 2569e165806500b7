-- Compiles installed modules: beside each FILE.lua a FILE.luac, which lua/qhub/init.lua prefers.
--
--   lua5.4 scripts/compile.lua FOLDER FILE...
--
-- Run by the interpreter that is to load them; any other one refuses them or finds them the same,
-- and takes the source when it refuses. Positions are kept, under names that begin with "qhub/"
-- wherever the files are, since they may be installed into one folder to be used in another.
local folder = arg[1]

for index = 2, #arg do
  local path = folder .. "/" .. arg[index]
  local source <close> = assert(io.open(path, "rb"))
  local chunk = assert(load(source:read "a", "=" .. arg[index], "t"))
  local compiled <close> = assert(io.open(path .. "c", "wb"))
  assert(compiled:write(string.dump(chunk)))
end
