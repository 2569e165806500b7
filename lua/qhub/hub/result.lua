-- The result envelope: a plain table with the wire's names, in which `_embedded.status` is an
-- execution and `embedded` and `links` are aliases.

local core = require "qhub.core"
local executions = require "qhub.execution"
local text = require "qhub.error.text"
local usage_error = require("qhub.error").usage

local result = {}

local ALIASES = { embedded = "_embedded", links = "_links" }

-- A metatable, so that the aliases are never encoded and a member of that name wins.
local Envelope = {
  __name = "qhub.Result",
  __index = function(envelope, name)
    local member = ALIASES[name]
    return member and rawget(envelope, member)
  end,
}

--- Marks `envelope`, a decoded object whose embedded status is an execution, and returns it.
function result.of(envelope)
  return setmetatable(envelope, Envelope)
end

-- Relations of `_links` that are no files, and names by which none could be requested.
local NO_FILE = { self = true, status = true, [""] = true, ["."] = true, [".."] = true }

--- The names of the files of a result: the relations of `_links` except `self` and `status`, sorted.
--- Raises a usage error.
function result.files(envelope)
  if envelope == nil or executions.is(envelope) then
    usage_error("result_files: a result is needed, got %s", text.value(envelope))
  end
  local names = core.json.array {}
  local links = type(envelope) == "table" and rawget(envelope, "_links")
  for name in pairs(type(links) == "table" and links or {}) do
    if type(name) == "string" and not NO_FILE[name] then names[#names + 1] = name end
  end
  table.sort(names)
  return names
end

return result
