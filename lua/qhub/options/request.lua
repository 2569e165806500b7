-- The options that every operation takes: what one request may be given besides its arguments.

local core = require "qhub.core"
local headers = require "qhub.http.headers"
local options = require "qhub.options"
local text = require "qhub.error.text"

local check, encoded = options.check, core.text.encode_segment

local function query_value(value, name, where)
  if type(value) == "string" then
    return encoded(value)
  elseif type(value) == "boolean" then
    return tostring(value)
  elseif math.type(value) and value - value == 0 then
    return encoded(core.json.encode(value)) -- every digit of a float
  end
  local expected = "a string, a finite number, a boolean or a list of these"
  options.refuse(where, "query." .. text.line(name, 60), expected, value)
end

-- The query as text, names sorted so that the same query is the same URL.
local function check_query(value, _, where)
  check.table(value, "query", where)
  local names = {}
  for name in pairs(value) do
    if type(name) ~= "string" or name == "" then
      options.deny(where, "a query's", "names are strings, got %s", text.value(name))
    end
    names[#names + 1] = name
  end
  table.sort(names)
  local parts = {}
  for _, name in ipairs(names) do
    local values = value[name]
    for _, item in ipairs(type(values) == "table" and values or { values }) do
      parts[#parts + 1] = encoded(name) .. "=" .. query_value(item, name, where)
    end
  end
  return table.concat(parts, "&")
end

return {
  --- Checkers of the options that every operation takes (see options/init.lua).
  checkers = {
    timeout = check.seconds,
    total_timeout = check.seconds,
    max_retries = check.count,
    headers = headers.checked,
    query = check_query,
    on_response = check.callable,
  },
}
