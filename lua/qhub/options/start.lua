-- The options of a start in addition to those of every request: what goes with the body.
--
-- `tags` and `secrets` travel as the members `$tags` and `$secrets` of the body, next to the
-- parameters of the service.

local core = require "qhub.core"
local json = require "qhub.json"
local options = require "qhub.options"
local text = require "qhub.error.text"
local usage_error = require("qhub.error").usage

local check, deny, is_array = options.check, options.deny, core.json.is_array

local start, NONE = {}, {}

local function check_tags(value, name, where)
  check.table(value, name, where)
  for index, tag in pairs(value) do
    if not math.type(index) then
      deny(where, name, "must be a list of strings, got the key %s", text.value(index))
    elseif type(tag) ~= "string" or tag == "" then
      options.refuse(where, ("tags[%s]"):format(index), "a string that is not empty", tag)
    end
  end
  return json.array(options.extended(value, {})) -- what has gaps is refused when it is encoded
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
  return json.object(options.extended(value, {}))
end

--- Checkers (see options/init.lua).
start.checkers = {
  body = check.table,
  idempotent = check.boolean,
  tags = check_tags,
  secrets = check_secrets,
}

local MEMBERS = { tags = "$tags", secrets = "$secrets" }

--- `body` with the members that the checked options `o` add: a new table, or `body` itself if they
--- add none. Raises a usage error of the call `where`.
function start.body(body, o, where)
  if not (o.body or o.tags or o.secrets) then return body end
  local merged = options.extended(body, o.body or {})
  if is_array(body) then
    json.array(merged) -- and so refused when it is encoded
  end
  for name, member in pairs(MEMBERS) do
    if o[name] then
      if merged[member] ~= nil then
        deny(where, "the body", "has '%s' and the option '%s' is given; give one", member, name)
      end
      merged[member] = o[name]
    end
  end
  return merged
end

--- The secrets that a start with `body` sends, a list: the values of `$secrets` and the grants of
--- data pools. Nil when there are none.
function start.secrets_in(body)
  local found
  for name, value in next, body do
    local inner = type(value) == "table" and value or NONE
    local is_pool = rawget(inner, "ref") == "DATAPOOL"
    local given = name == MEMBERS.secrets and inner
      or is_pool and { rawget(inner, "grant") }
      or NONE
    for _, secret in next, given do
      if type(secret) == "string" then
        found = found or {}
        found[#found + 1] = secret
      end
    end
  end
  return found
end

--- `start.body(body, o, where)` as text, and the secrets in it. Raises a usage error.
function start.encoded(body, o, where)
  if type(body) ~= "table" then
    deny(where, "the body", "must be a table that encodes to a JSON object, got %s", type(body))
  end
  body = start.body(body, o, where)
  local encoded = json.encode(body)
  if encoded:byte() ~= 123 then -- "{"
    usage_error("%s: the body must encode to a JSON object, not to an array", where)
  end
  return encoded, start.secrets_in(body)
end

return start
