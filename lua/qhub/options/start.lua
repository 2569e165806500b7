-- What goes with the body of a start: tags, secrets and data pools.
--
-- `tags` and `secrets` travel as the members `$tags` and `$secrets` of the body, next to the
-- parameters of the service. A data pool is the value of a parameter.

local core = require "qhub.core"
local json = require "qhub.json"
local options = require "qhub.options"
local text = require "qhub.error.text"
local usage_error = require("qhub.error").usage

local check, deny = options.check, options.deny

local start, NONE = {}, {}

local function check_tags(value, name, where)
  check.table(value, name, where)
  for index, tag in pairs(value) do
    if not math.type(index) or type(tag) ~= "string" or tag == "" then
      local form = "must be a list of strings that are not empty, but tags[%s] is %s"
      deny(where, name, form, text.value(index), text.value(tag))
    end
  end
  return json.array(options.extended(value)) -- what has gaps is refused when it is encoded
end

-- The messages name the secret, never its value.
local function check_secrets(value, name, where)
  local expected = "must be a table of names to strings, got a "
  if type(value) ~= "table" then deny(where, name, expected .. type(value)) end
  for key, secret in pairs(value) do
    if type(key) ~= "string" or key == "" then
      deny(where, name, expected .. "key that is not a name")
    elseif type(secret) ~= "string" then
      deny(where, "secrets." .. text.line(key, 60), "must be a string, got a %s", type(secret))
    end
  end
  return json.object(options.extended(value))
end

--- Checkers (see options/init.lua).
start.checkers = {
  body = check.table,
  idempotent = check.boolean,
  tags = check_tags,
  secrets = check_secrets,
}

local MEMBERS = { tags = "$tags", secrets = "$secrets" }

-- `body` with the members that the checked options `o` add: a new table, or `body` itself if they
-- add none.
local function merged(body, o, where)
  if not (o.body or o.tags or o.secrets) then return body end
  local whole = options.extended(body, o.body)
  for name, member in pairs(MEMBERS) do
    if o[name] and whole[member] ~= nil then
      deny(where, "the body", "has '%s' and the option '%s' is given; give one", member, name)
    end
    whole[member] = o[name] or whole[member]
  end
  return whole
end

-- The values of `$secrets` and the grants of data pools in `body`, a list; nil when there are none.
local function secrets_in(body)
  local found
  for name, value in next, body do
    if type(value) == "table" then
      local is_pool = rawget(value, "ref") == "DATAPOOL"
      local grant = is_pool and { rawget(value, "grant") } or NONE
      for _, secret in next, name == MEMBERS.secrets and value or grant do
        found = found or {}
        found[#found + 1] = type(secret) == "string" and secret or nil
      end
    end
  end
  return found
end

--- `body` with what the checked options `o` add to it, as text; and the secrets in it, a list, or
--- nil when there are none. Raises a usage error of the call `where`.
function start.encoded(body, o, where)
  if type(body) ~= "table" then
    deny(where, "the body", "must be a table that encodes to a JSON object, got %s", type(body))
  end
  local whole = not core.json.is_array(body) and merged(body, o, where) or body
  local encoded = json.encode(whole)
  if encoded:byte() ~= 123 then -- "{"
    usage_error("%s: the body must encode to a JSON object, not to an array", where)
  end
  return encoded, secrets_in(whole)
end

--- The secrets alone, of a body that was encoded before.
function start.secrets_in(body, o, where)
  return secrets_in(merged(body, o, where))
end

local pool_checkers = { grant = check.secret }

--- A reference to the data pool `id`, to be used as a member of the body of a start. `grant` is the
--- permission to use a pool of somebody else. Raises a usage error.
function start.data_pool(id, given)
  if type(id) ~= "string" or id == "" or core.text.has_control(id) then
    options.refuse("data_pool", "id", "a string that is not empty", id)
  end
  local o = options.checked(given, pool_checkers, "data_pool")
  return core.json.object { id = id, ref = "DATAPOOL", grant = o.grant }
end

return start
