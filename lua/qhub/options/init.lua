-- Checking of option tables: names, types and ranges, with messages that name the value and the
-- remedy. Everything here raises a usage error; nothing here knows what the options are for.

local core = require "qhub.core"
local usage_error = require("qhub.error").usage
local show = require "qhub.error.text"

local options = {}

-- Half a month in seconds still fits the 32-bit milliseconds that system calls take.
local LONGEST_SECONDS = 2147483

--- Checkers: function(value, name, where) -> the value to use; raise a usage error.
local check = {}
options.check = check

local function refuse(where, name, expected, value)
  usage_error("%s: %s must be %s, got %s", where, name, expected, show.value(value))
end
options.refuse = refuse

function check.seconds(value, name, where)
  if type(value) ~= "number" or not (value > 0 and value <= LONGEST_SECONDS) then
    refuse(where, name, "a number of seconds above 0 and at most " .. LONGEST_SECONDS, value)
  end
  return value
end

--- A checker for whole numbers from `least` to `most`.
function check.integer(least, most)
  return function(value, name, where)
    local whole = math.type(value) and math.tointeger(value)
    if not whole or whole < least or whole > most then
      refuse(where, name, ("a whole number from %d to %d"):format(least, most), value)
    end
    return whole
  end
end

check.count = check.integer(0, 1000000)

function check.boolean(value, name, where)
  if type(value) ~= "boolean" then refuse(where, name, "true or false", value) end
  return value
end

local function is_callable(value)
  if type(value) == "function" then return true end
  local metatable = getmetatable(value)
  return type(metatable) == "table" and metatable.__call ~= nil
end
options.is_callable = is_callable

function check.callable(value, name, where)
  if not is_callable(value) then refuse(where, name, "a function", value) end
  return value
end

function check.text(value, name, where)
  if type(value) ~= "string" or value == "" or value:find("\0", 1, true) then
    refuse(where, name, "a string that is not empty", value)
  end
  return value
end

--- A string that may travel in a header; the messages name the option, never its value.
function check.secret(value, name, where)
  if type(value) ~= "string" then
    usage_error("%s: %s must be a string, got a %s", where, name, type(value))
  elseif value == "" then
    usage_error("%s: %s is an empty string (is the variable set that it comes from?)", where, name)
  elseif core.text.has_control(value) then
    usage_error("%s: %s has control characters (a line break at its end?)", where, name)
  end
  return value
end

function check.table(value, name, where)
  if type(value) ~= "table" then refuse(where, name, "a table", value) end
  return value
end

--- A checker for one of the given strings.
function check.one_of(...)
  local allowed = { ... }
  return function(value, name, where)
    for _, choice in ipairs(allowed) do
      if value == choice then return value end
    end
    refuse(where, name, 'one of "' .. table.concat(allowed, '", "') .. '"', value)
  end
end

--- Edit distance, for suggestions: names are short, so the plain algorithm serves.
local function distance(a, b)
  local previous = {}
  for j = 0, #b do
    previous[j] = j
  end
  for i = 1, #a do
    local current = { [0] = i }
    for j = 1, #b do
      local cost = a:byte(i) == b:byte(j) and 0 or 1
      current[j] = math.min(previous[j] + 1, current[j - 1] + 1, previous[j - 1] + cost)
    end
    previous = current
  end
  return previous[#b]
end

--- The name in `known` (a table by name) that is nearest to `name`, or nil when none is near.
local function nearest(name, known)
  -- As other languages and the reference SDKs write it: max-retries, maxRetries, timeoutInSeconds.
  name = name:sub(1, 60):gsub("-", "_"):gsub("(%l)(%u)", "%1_%2"):lower()
  local best, best_distance = nil, math.max(2, #name // 3) + 1
  for candidate in pairs(known) do
    local d = distance(name, candidate)
    local shorter, longer = name, candidate
    if #shorter > #longer then
      shorter, longer = longer, shorter
    end
    if #shorter >= 4 and ("_" .. longer .. "_"):find("_" .. shorter .. "_", 1, true) then
      d = math.min(d, 2)
    end
    if d < best_distance or (d == best_distance and best and candidate < best) then
      best, best_distance = candidate, d
    end
  end
  return best
end

-- Names of the vendor's clients for Python, as people bring them along, and what to use here.
local ELSEWHERE = {
  service_endpoint = "'base_url'",
  endpoint = "'base_url'",
  access_token = "'token'",
  api_key = "'token'",
  access_key_id = "'token = qhub.credentials.client_credentials { access_key_id = … }'",
  secret_access_key = "'token = qhub.credentials.client_credentials { secret_access_key = … }'",
  httpx_client = "'transport' for another HTTP stack, 'http' for proxy and TLS",
  timeout_in_seconds = "'timeout'",
  wait_for_final_state = "execution:wait(), or client:run, which waits",
  max_wait_seconds = "'timeout' of execution:wait()",
  additional_headers = "'headers'",
  additional_query_parameters = "'query'",
  additional_body_parameters = "'body'",
  request_options = "the options themselves, as the last argument",
  grants = "qhub.data_pool(id, { grant = … }) as a value of the body",
  input_data_ref = "qhub.data_pool(id) as a value of the body",
}

local function unknown(name, checkers, where)
  if type(name) ~= "string" then
    usage_error("%s: options are given by name, got the key %s", where, show.value(name))
  end
  local ours = ELSEWHERE[name]
  if ours then usage_error("%s: unknown option '%s'; use %s", where, name, ours) end
  local near = nearest(name, checkers)
  if near then
    usage_error("%s: unknown option '%s'; did you mean '%s'?", where, show.line(name, 60), near)
  end
  local names = {}
  for known in pairs(checkers) do
    names[#names + 1] = known
  end
  table.sort(names)
  usage_error(
    "%s: unknown option '%s'; known are %s",
    where,
    show.line(name, 60),
    table.concat(names, ", ")
  )
end

--- Checks `given` (a table, or nil for none) against `checkers` (option name -> checker) and
--- returns a new table with the checked values. `where` is the name of the call, for messages.
function options.checked(given, checkers, where)
  local result = {}
  if given == nil then return result end
  if type(given) ~= "table" then
    usage_error("%s: options must be a table, got %s", where, show.value(given))
  end
  for name, value in next, given do
    local checker = checkers[name]
    if not checker then unknown(name, checkers, where) end
    result[name] = checker(value, name, where)
  end
  return result
end

--- A new table of checkers: those of `base` and `extra`.
function options.extended(base, extra)
  local result = {}
  for name, checker in pairs(base) do
    result[name] = checker
  end
  for name, checker in pairs(extra) do
    result[name] = checker
  end
  return result
end

return options
