-- Proxies as a program or the environment names them: their form, their secrets, their names.
--
-- What is wrong with one is said without showing it: a malformed one may show its password
-- anywhere. libcurl chooses the proxy of a request; the rules for the environment are repeated here
-- only so far as a message needs them.

local core = require "qhub.core"

local getenv, text = core.system.getenv, core.text

local proxy = {}

-- libcurl does not read HTTP_PROXY, which a request to a CGI program could set.
local VARIABLES = {
  http = { "http_proxy", "all_proxy", "ALL_PROXY" },
  https = { "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY" },
}

-- User info (nil: none) and what follows it.
local function parts_of(value)
  local rest = value:match "^[^:/?#@%[%]]*://(.*)$" or value
  local userinfo, place = rest:match "^(.*)@([^@]*)$"
  return userinfo, place or rest
end

local SCHEMES =
  { http = true, https = true, socks4 = true, socks4a = true, socks5 = true, socks5h = true }

--- What is wrong with `value` (a string) as a proxy, or nil. Never shows a part of it. The scheme
--- may be left out and is then http.
function proxy.fault(value)
  local url = value:find("://", 1, true) and value or "http://" .. value
  local scheme, reason = text.parse_url(url)
  if not scheme then return "it " .. reason end
  if not url:find "^[^/]*//[^/?#]*/?$" then
    return "it has more after its host and port; percent-encode / ? # in a password"
  elseif url:find("%00", 1, true) then
    return "it has an encoded zero byte in it"
  elseif not SCHEMES[scheme] then
    return "it has a scheme that is not http, https, socks4, socks4a, socks5, socks5h"
  end
end

-- Whether NO_PROXY excepts `host`.
local function is_excepted(host)
  local list = getenv "no_proxy" or getenv "NO_PROXY" or ""
  for name in list:gmatch "[^,%s]+" do
    name = name:gsub("^%.", ""):lower()
    if name == "*" or host == name or host:sub(-#name - 1) == "." .. name then return true end
  end
  return false
end

-- The proxy that the environment names for `url`, and the variable; or nil.
local function from_environment(url)
  local scheme, host = text.parse_url(url)
  if not scheme or is_excepted(host) then return nil end
  for _, name in ipairs(VARIABLES[scheme] or {}) do
    local value = getenv(name)
    if value and value ~= "" then return value, name end
  end
end

--- `send`, a transport with the `http` options of a client for `url`; or, if the environment names
--- a malformed proxy for it, one that fails, for good.
function proxy.guarded(send, http, url)
  local value, name
  if http.proxy == nil then
    value, name = from_environment(url)
  end
  local fault = value and proxy.fault(value)
  if not fault then return send end
  local message = "the environment variable " .. name .. " does not name a proxy: " .. fault
  return function()
    return nil,
      { kind = "network", phase = "connect", message = message, sent = false, lasting = true }
  end
end

--- "host:port" of the proxy of a request for `url`, without user info; or nil. `given` is the
--- `proxy` option: nil as the environment says, false for none.
function proxy.name(given, url)
  local value = given
  if given == nil then value = from_environment(url) end
  if not value or proxy.fault(value) then return nil end
  local _, place = parts_of(value)
  return (place:gsub("/$", ""))
end

local function add_secrets(secrets, value)
  local userinfo = parts_of(value)
  if not userinfo then return end
  local password = userinfo:match ":(.*)$"
  secrets[#secrets + 1] = userinfo
  secrets[#secrets + 1] = password
  -- Of a malformed one a message may show what ends an authority or a word.
  for part in (password or userinfo):gmatch "[^/?#%s@]+" do
    secrets[#secrets + 1] = part
  end
end

--- The secrets of the proxies that the environment names and of `given` (a string, or nothing), as
--- a list.
function proxy.secrets(given)
  local secrets = {}
  for _, names in pairs(VARIABLES) do
    for _, name in ipairs(names) do
      local value = getenv(name)
      if value then add_secrets(secrets, value) end
    end
  end
  if given then add_secrets(secrets, given) end
  return secrets
end

return proxy
