-- The options of a start in addition to those of every request: what goes with the body.
--
-- `tags` and `secrets` travel as the members `$tags` and `$secrets` of the body, next to the
-- parameters of the service.

local core = require "qhub.core"
local options = require "qhub.options"
local show = require "qhub.error.text"
local usage_error = require("qhub.error").usage

local check, json = options.check, core.json

local start = {}

local function check_tags(value, name, where)
  check.table(value, name, where)
  local count = #value
  local tags = {}
  for index, tag in pairs(value) do
    if math.type(index) ~= "integer" or index < 1 or index > count then
      usage_error("%s: tags must be a list of strings, got the key %s", where, show.value(index))
    elseif type(tag) ~= "string" or tag == "" then
      usage_error(
        "%s: tags[%d] must be a string that is not empty, got %s",
        where,
        index,
        show.value(tag)
      )
    end
    tags[index] = tag
  end
  return json.array(tags)
end

-- The messages name the secret, never its value.
local function check_secrets(value, name, where)
  if type(value) ~= "table" then
    usage_error("%s: %s must be a table of names to strings, got a %s", where, name, type(value))
  end
  local secrets = {}
  for key, secret in pairs(value) do
    if type(key) ~= "string" or key == "" then
      usage_error(
        "%s: secrets must be a table of names to strings, got a key that is not a name",
        where
      )
    elseif type(secret) ~= "string" then
      usage_error(
        "%s: secrets.%s must be a string, got a %s",
        where,
        show.line(key, 60),
        type(secret)
      )
    end
    secrets[key] = secret
  end
  return json.object(secrets)
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
  local merged = {}
  if json.is_array(body) then
    json.array(merged) -- and so refused when it is encoded
  end
  for name, value in next, body do
    merged[name] = value
  end
  for name, value in next, o.body or {} do
    merged[name] = value
  end
  for name, member in pairs(MEMBERS) do
    if o[name] then
      if merged[member] ~= nil then
        usage_error(
          "%s: the body has '%s' and the option '%s' is given; give one",
          where,
          member,
          name
        )
      end
      merged[member] = o[name]
    end
  end
  return merged
end

--- The secrets that a start with `body` sends, a list: the values of `$secrets` and the grants of
--- data pools. Nil when there are none.
function start.secrets_in(body)
  local found = {}
  local given = body["$secrets"]
  for _, secret in pairs(type(given) == "table" and given or {}) do
    found[#found + 1] = type(secret) == "string" and secret or nil
  end
  for _, value in next, body do
    if type(value) == "table" and rawget(value, "ref") == "DATAPOOL" then
      local grant = rawget(value, "grant")
      found[#found + 1] = type(grant) == "string" and grant or nil
    end
  end
  return found[1] and found or nil
end

return start
