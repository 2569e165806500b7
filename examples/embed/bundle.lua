-- Writes qhub's Lua files as a C header, for host.c:  lua5.4 bundle.lua FOLDER FILE... >bundle.h
--
-- FOLDER/qhub/hub/client.lua becomes the module "qhub.hub.client".

local folder = arg[1]

-- The bytes of a file as C numbers, a line for each line.
local function bytes(path)
  local lines = {}
  for line in io.lines(path, "L") do
    lines[#lines + 1] = "  "
      .. line:gsub(".", function(byte)
        return byte:byte() .. ","
      end)
  end
  return table.concat(lines, "\n")
end

print [[
/* Made by bundle.lua. */
#include <stddef.h>

typedef struct {
  const char *name;       /* of the module */
  const char *chunk_name; /* for messages */
  const unsigned char *text;
  size_t size;
} bundled_module;
]]

local rows = {}
for index = 2, #arg do
  local path = arg[index]:sub(#folder + 2)
  local name = path:gsub("%.lua$", ""):gsub("/init$", ""):gsub("/", ".")
  print(("static const unsigned char text_%d[] = {\n%s\n};\n"):format(index, bytes(arg[index])))
  rows[#rows + 1] = ('  {"%s", "@%s", text_%d, sizeof text_%d},'):format(name, path, index, index)
end
print "static const bundled_module bundle[] = {"
print(table.concat(rows, "\n"))
print "  {NULL, NULL, NULL, 0},\n};"
