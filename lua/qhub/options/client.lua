-- The constructor's options: what a client may be built with.

local options = require "qhub.options"
local request_options = require "qhub.options.request"
local proxy = require "qhub.http.transport.proxy"
local text = require "qhub.error.text"
local core = require "qhub.core"

local check, checked, deny = options.check, options.checked, options.deny

local WHERE = "HubServiceClient"
local CONCRETE_URL = "https://gateway.hub.kipu-quantum.com/acme/vqe/v1"

local function token_fault(value)
  if options.is_callable(value) then
    return nil
  elseif type(value) ~= "string" then
    return "must be a string or a function that returns one, got a " .. type(value)
  end
  return options.token_fault(value)
end

--- Checks `value` as the URL of a service; or of a token endpoint like `endpoint`, which may have a
--- query. Messages about a URL that is refused never show what could be a password in it.
local function check_url(value, name, where, endpoint)
  local example = endpoint or CONCRETE_URL
  if type(value) ~= "string" or value == "" then
    deny(where, name, "must be a URL like %s, got %s", example, text.value(value))
  elseif value:find("@", 1, true) then
    local remedy = endpoint and "" or "; give a token instead (an @ in a path is written %40)"
    deny(where, name, "must not hold a user name or password%s", remedy)
  end
  local scheme, reason = core.text.parse_url(value)
  local fault
  if value:find "[<>{}]" or value:lower():find("%%3[ce]") then
    fault = "still has placeholders; give the concrete URL, like " .. example
  elseif not scheme then
    fault = ("is not a URL: %s; it should look like %s"):format(reason, example)
  elseif scheme ~= "http" and scheme ~= "https" then
    fault = "must begin with https:// or http://"
  elseif value:find(endpoint and "#" or "[?#]") then
    fault = "must not have a query or a fragment; give queries per request"
  end
  if fault then
    deny(where, name, "%s %s", text.value(require("qhub.http.redact").urls(value)), fault)
  end
  return endpoint and value or (value:gsub("/+$", ""))
end

local function proxy_fault(value)
  local is_text = type(value) == "string"
  local fault = is_text and proxy.fault(value) or value and not is_text and "it is no string"
  return fault
    and "must look like http://proxy.example:3128 or http://user:password@proxy:3128, "
      .. "or be false for none: "
      .. fault
end

local HTTP = {
  proxy = check.faultless(proxy_fault),
  ca_file = check.text,
  ca_path = check.text,
  verify = check.boolean,
  client_cert = check.text,
  client_key = check.text,
  http_version = check.one_of("1.1", "2"),
  connect_timeout = check.seconds,
  max_connections = check.integer(1, 10000),
}

return {
  WHERE = WHERE,
  CONCRETE_URL = CONCRETE_URL,
  check_url = check_url,
  --- Checkers of the constructor's options (see options/init.lua).
  checkers = {
    token = check.faultless(token_fault),
    base_url = check_url,
    environment = check.text, -- its form is checked only when it is used: base_url wins
    parent_execution_token = function(value, name, where)
      return value ~= false and check.secret(value, name, where)
    end,
    headers = request_options.checkers.headers,
    timeout = check.seconds,
    total_timeout = check.seconds,
    max_retries = check.count,
    follow_redirects = check.boolean,
    logging = check.table,
    http = function(value, name, where)
      return checked(value, HTTP, where .. "." .. name)
    end,
    transport = check.callable,
    max_response_bytes = check.integer(1, 1 << 40),
    on_response = check.callable,
  },
}
