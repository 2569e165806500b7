-- The specs mirror the modules: lua/qhub/PATH.lua has spec/PATH_spec.lua, and a spec beside it may
-- go into one part, PATH_PART_spec.lua. What needs more than one module is in spec/promises, and
-- what is C in spec/core.
package.path = "./scripts/lint/?.lua;" .. package.path
local source = require("source")
local report = source.report()

-- Modules without a spec of their own: where their promises are held.
local ELSEWHERE = {
  ["init"] = "spec/promises/types_spec.lua", -- names only
  ["auth/init"] = "spec/promises/types_spec.lua", -- names only
  ["error/init"] = "spec/promises/messages_spec.lua", -- each message as the whole makes it
  ["http/version"] = "spec/http/headers_spec.lua", -- one string
  ["tasks/timers"] = "spec/tasks/init_spec.lua", -- every sleep and timeout
}

local function exists(path)
  local file <close> = io.open(path)
  return file ~= nil
end

local modules = {}
for _, path in ipairs(source.files({ "lua/qhub" }, { ".lua" })) do
  local name = path:match("^lua/qhub/(.*)%.lua$")
  modules[name] = true
  local has_spec, other = exists("spec/" .. name .. "_spec.lua"), ELSEWHERE[name]
  if has_spec and other then
    report("scripts/lint/mirror.lua: %s has a spec of its own", name)
  elseif not has_spec and not (other and exists(other)) then
    report("%s: no spec/%s_spec.lua (or say in scripts/lint/mirror.lua where it is)", path, name)
  end
end
for name in pairs(ELSEWHERE) do
  if not modules[name] then report("scripts/lint/mirror.lua: there is no module %s", name) end
end

for _, path in ipairs(source.files({ "spec" }, { "_spec.lua" })) do
  local name = path:match("^spec/(.*)_spec%.lua$")
  while not modules[name] and name:find("_") do
    name = name:gsub("_[^_]*$", "")
  end
  if not (modules[name] or name:find("^promises/") or name:find("^core/")) then
    report("%s: there is no module of this name", path)
  end
end

report:finish("mirror")
