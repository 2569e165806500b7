-- The constructor's options: what a client may be built with.

local usage_error = require("qhub.error").usage
local options = require "qhub.options"
local request_options = require "qhub.options.request"
local proxy = require "qhub.http.transport.proxy"
local show = require "qhub.error.text"
local core = require "qhub.core"

-- Loaded for messages only.
local function redact()
  return require "qhub.http.redact"
end

local check, checked, text = options.check, options.checked, core.text

local WHERE = "HubServiceClient"
local CONCRETE_URL = "https://gateway.hub.kipu-quantum.com/acme/vqe/v1"

local function check_token(value, _, where)
  if type(value) == "string" then
    if value == "" then
      usage_error(
        "%s: the token is an empty string (is the variable set that it comes from?)",
        where
      )
    elseif text.has_control(value) then
      usage_error("%s: the token has control characters (a line break at its end?)", where)
    elseif value:find "^ *[Bb][Ee][Aa][Rr][Ee][Rr] " then
      usage_error(
        "%s: the token begins with the word Bearer, which is sent anyway; leave it out",
        where
      )
    end
    return value
  elseif options.is_callable(value) then
    return value
  end
  usage_error(
    "%s: token must be a string or a function that returns one, got a %s",
    where,
    type(value)
  )
end

-- Messages about a URL that is refused never show what could be a password in it.
local function check_url(value, name, where)
  if type(value) ~= "string" or value == "" then
    usage_error(
      "%s: %s must be a URL like %s, got %s",
      where,
      name,
      CONCRETE_URL,
      show.value(value)
    )
  elseif value:find("@", 1, true) then
    usage_error(
      "%s: %s must not hold a user name or password; give a token instead "
        .. "(an @ in a path is written %%40)",
      where,
      name
    )
  end
  if value:find "[<>{}]" or value:lower():find("%%3[ce]") then
    usage_error(
      "%s: %s still has placeholders (%s); give the concrete URL of your service, like %s",
      where,
      name,
      show.line(redact().urls(value), 120),
      CONCRETE_URL
    )
  end
  local address, reason = text.parse_url(value)
  if not address then
    usage_error(
      "%s: %s %s is not a URL: %s; it should look like %s",
      where,
      name,
      redact().given_url(value),
      reason,
      CONCRETE_URL
    )
  elseif address.scheme ~= "http" and address.scheme ~= "https" then
    usage_error(
      "%s: %s must begin with https:// or http://, got %s",
      where,
      name,
      redact().given_url(value)
    )
  elseif address.query or address.fragment then
    usage_error("%s: %s must not have a query or a fragment; give queries per request", where, name)
  end
  return (value:gsub("/+$", ""))
end

local function check_proxy(value, name, where)
  if value == false then return false end
  if type(value) ~= "string" then
    usage_error("%s: %s must be a string, or false for none, got a %s", where, name, type(value))
  end
  local fault = value == "" and "it is empty (false stands for no proxy)" or proxy.fault(value)
  if fault then
    usage_error(
      "%s: %s must look like http://proxy.example:3128 or http://user:password@proxy:3128: %s",
      where,
      name,
      fault
    )
  end
  return value
end

local function check_parent_token(value, name, where)
  return value ~= false and check.secret(value, name, where)
end

local HTTP = {
  proxy = check_proxy,
  ca_file = check.text,
  ca_path = check.text,
  verify = check.boolean,
  client_cert = check.text,
  client_key = check.text,
  http_version = check.one_of("1.1", "2"),
  connect_timeout = check.seconds,
  max_connections = check.integer(1, 10000),
}

local function check_http(value, name, where)
  check.table(value, name, where)
  return checked(value, HTTP, where .. ".http")
end

return {
  WHERE = WHERE,
  CONCRETE_URL = CONCRETE_URL,
  check_url = check_url,
  --- Checkers of the constructor's options (see options/init.lua).
  checkers = {
    token = check_token,
    base_url = check_url,
    environment = check.text, -- its form is checked only when it is used: base_url wins
    parent_execution_token = check_parent_token,
    headers = request_options.checkers.headers,
    timeout = check.seconds,
    total_timeout = check.seconds,
    max_retries = check.count,
    follow_redirects = check.boolean,
    logging = check.table,
    http = check_http,
    transport = check.callable,
    max_response_bytes = check.integer(1, 1 << 40),
    on_response = check.callable,
  },
}
