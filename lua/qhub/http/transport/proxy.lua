-- Proxies as a program or the environment names them: their form, their secrets, their names.
--
-- What is wrong with one is said without showing it: a malformed one may show its password
-- anywhere. libcurl chooses the proxy of a request; the rules for the environment are repeated here
-- only so far as a message needs them.

local core = require "qhub.core"
local text = require "qhub.error.text"

local proxy = {}

-- libcurl does not read HTTP_PROXY, which a request to a CGI program could set.
local VARIABLES = {
  http = { "http_proxy", "all_proxy", "ALL_PROXY" },
  https = { "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY" },
}

local SCHEMES =
  { http = true, https = true, socks4 = true, socks4a = true, socks5 = true, socks5h = true }

--- What is wrong with `value` (a string) as a proxy, or nil. Never shows a part of it. The scheme
--- may be left out and is then http.
function proxy.fault(value)
  local url = value:find("://", 1, true) and value or "http://" .. value
  local scheme, reason = core.text.parse_url(url)
  if not scheme then return "it " .. reason end
  if not url:find "^[^/]*//[^/?#]*/?$" then
    return "it has more after its host and port; percent-encode / ? # in a password"
  elseif url:find("%00", 1, true) then
    return "it has an encoded zero byte in it"
  elseif not SCHEMES[scheme] then
    return "it has a scheme that is not http, https, socks4, socks4a, socks5, socks5h"
  end
end

-- Whether NO_PROXY excepts the host of `url`.
local function is_excepted(url)
  local _, host = core.text.parse_url(url)
  local list = core.system.getenv "no_proxy" or core.system.getenv "NO_PROXY" or ""
  for name in list:gmatch "[^,%s]+" do
    name = name:gsub("^%.", ""):lower()
    if name == "*" or host == name or host:sub(-#name - 1) == "." .. name then return true end
  end
  return false
end

-- The proxy for URLs like `url`: `given` (false: none) or, if that is nil, what the environment
-- names, and the variable.
local function chosen(given, url)
  if given ~= nil then return given end
  if is_excepted(url) then return nil end
  for _, name in ipairs(VARIABLES[url:match("^%a+"):lower()]) do
    local value = core.system.getenv(name)
    if value and value ~= "" then return value, name end
  end
end

--- `send`, a transport with the `http` options of a client for `url`; or, if the environment names
--- a malformed proxy for it, one that fails, for good.
function proxy.guarded(send, http, url)
  local value, name = chosen(http.proxy, url)
  local fault = name and proxy.fault(value) -- an option has been checked
  if not fault then return send end
  local form = "the environment variable %s does not name a proxy: %s; http.proxy = false uses none"
  local message = form:format(name, fault)
  return function()
    return nil,
      { kind = "network", phase = "connect", message = message, sent = false, lasting = true }
  end
end

--- What a message about a failed connection says of the proxy for `url`, without user info; or nil.
--- `given` is the `proxy` option: nil as the environment says, false for none.
function proxy.mentioned(given, url)
  local value, name = chosen(given, url)
  if not value then return nil end
  local place = text.line(value:match "([^@/]*)/?$", 300)
  return name and "the environment variable " .. name .. " names the proxy " .. place
    or "by way of the proxy " .. place
end

--- The secrets of the proxies that the environment names and of `given` (a string, or nothing), as
--- a list. Basic credentials are how a proxy gets them.
function proxy.secrets(given)
  local values, secrets = { given or nil }, {}
  for _, names in pairs(VARIABLES) do
    for _, name in ipairs(names) do
      values[#values + 1] = core.system.getenv(name)
    end
  end
  for _, value in ipairs(values) do
    local userinfo = value:gsub("^%a[^:/@]*://", ""):match "^(.*)@"
    if userinfo then
      secrets[#secrets + 1] = userinfo
      secrets[#secrets + 1] = userinfo:match ":(.*)$"
      secrets[#secrets + 1] = text.base64(userinfo)
    end
  end
  return secrets
end

return proxy
