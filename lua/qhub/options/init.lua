-- Checking of option tables: names, types and ranges, with messages that name the value and the
-- remedy. Everything here raises a usage error; nothing here knows what the options are for.

local core = require "qhub.core"
local usage_error = require("qhub.error").usage
local text = require "qhub.error.text"

local options = {}

-- Half a month in seconds still fits the 32-bit milliseconds that system calls take.
local LONGEST_SECONDS = 2147483

--- Checkers: function(value, name, where) -> the value to use; raise a usage error.
local check = {}
options.check = check

--- Raises a usage error: `fault`, formatted with the further arguments, reads on after `name`.
local function deny(where, name, fault, ...)
  usage_error("%s: %s " .. fault, where, name, ...)
end
options.deny = deny

local function refuse(where, name, expected, value)
  deny(where, name, "must be %s, got %s", expected, text.value(value))
end
options.refuse = refuse

-- A checker of the values that `holds` is true of; `expected` describes them.
local function rule(expected, holds)
  return function(value, name, where)
    if not holds(value) then refuse(where, name, expected, value) end
    return value
  end
end

check.boolean = rule("true or false", function(value)
  return type(value) == "boolean"
end)

check.table = rule("a table", function(value)
  return type(value) == "table"
end)

check.seconds = rule("a number of seconds above 0 and at most " .. LONGEST_SECONDS, function(value)
  return type(value) == "number" and value > 0 and value <= LONGEST_SECONDS
end)

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

function options.is_callable(value)
  if type(value) == "function" then return true end
  local metatable = getmetatable(value)
  return type(metatable) == "table" and metatable.__call ~= nil
end

check.callable = rule("a function", options.is_callable)

check.text = rule("a string that is not empty", function(value)
  return type(value) == "string" and value ~= "" and not value:find("\0", 1, true)
end)

--- What is wrong with `value` as a secret that travels in a header, as `deny` says it; or nil. The
--- value is never shown.
function options.secret_fault(value)
  if type(value) ~= "string" then
    return "must be a string, got a " .. type(value)
  elseif value == "" then
    return "is an empty string (is the variable set that it comes from?)"
  elseif core.text.has_control(value) then
    return "has control characters (a line break at its end?)"
  end
end

--- The same for a token.
function options.token_fault(value)
  local fault = options.secret_fault(value)
  if not fault and value:find "^ *[Bb][Ee][Aa][Rr][Ee][Rr] " then
    return "begins with the word Bearer, which is sent anyway; leave it out"
  end
  return fault
end

--- A checker of the values in which `fault_of` finds no fault; see `secret_fault`.
function check.faultless(fault_of)
  return function(value, name, where)
    local fault = fault_of(value)
    if fault then deny(where, name, "%s", fault) end
    return value
  end
end

check.secret = check.faultless(options.secret_fault)

--- A checker for one of the given strings.
function check.one_of(...)
  local allowed = { ... }
  return rule('one of "' .. table.concat(allowed, '", "') .. '"', function(value)
    for _, choice in ipairs(allowed) do
      if value == choice then return true end
    end
  end)
end

-- Names of the vendor's clients for Python, as people bring them along, and what to use here.
local ELSEWHERE = {
  service_endpoint = "'base_url'",
  access_token = "'token'",
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
    usage_error("%s: options are given by name, got the key %s", where, text.value(name))
  end
  local remedy = ELSEWHERE[name] and "use " .. ELSEWHERE[name]
  if not remedy then
    local names = {}
    for known in pairs(checkers) do
      names[#names + 1] = known
    end
    table.sort(names)
    remedy = "known are " .. table.concat(names, ", ")
  end
  usage_error("%s: unknown option '%s'; %s", where, text.line(name, 60), remedy)
end

--- Checks `given` (a table, or nil for none) against `checkers` (option name -> checker) and
--- returns a new table with the checked values. `where` is the name of the call, for messages.
function options.checked(given, checkers, where)
  local result = {}
  if given == nil then return result end
  if type(given) ~= "table" then
    usage_error("%s: options must be a table, got %s", where, type(given))
  end
  for name, value in next, given do
    local checker = checkers[name]
    if not checker then unknown(name, checkers, where) end
    result[name] = checker(value, name, where)
  end
  return result
end

--- A new table: `base` with `extra` laid over it.
function options.extended(base, extra)
  local result = {}
  for _, from in ipairs { base, extra } do
    for name, value in next, from do
      result[name] = value
    end
  end
  return result
end

return options
