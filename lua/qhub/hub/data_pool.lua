-- Data pools by reference: the value of a parameter that stands for a pool at the Hub.
-- Source: the wire contract of the service gateway.

local core = require "qhub.core"
local options = require "qhub.options"

local checkers = { grant = options.check.secret }

--- A reference to the data pool `id`, to be used as a member of the body of a start. `grant` is the
--- permission to use a pool of somebody else. Raises a usage error.
local function data_pool(id, given)
  if type(id) ~= "string" or id == "" or core.text.has_control(id) then
    options.refuse("data_pool", "id", "a string that is not empty", id)
  end
  local o = options.checked(given, checkers, "data_pool")
  return core.json.object { id = id, ref = "DATAPOOL", grant = o.grant }
end

return data_pool
