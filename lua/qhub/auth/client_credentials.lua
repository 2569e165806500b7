-- `qhub.credentials.client_credentials`: a token function over the OAuth2 client credentials grant
-- (RFC 6749, 4.4).
--
-- It keeps the token and renews it before it expires; it is fetched once however many tasks wait.
-- The request goes the same way as every other call (attempts.lua), by a session of its own.
-- What is secret (the secret, the Basic credentials, tokens) is never in a reason or message.

local client_options = require "qhub.options.client"
local core = require "qhub.core"
local failures = require "qhub.http.failure"
local loop = require "qhub.tasks.loop"
local options = require "qhub.options"
local redact = require "qhub.http.redact"
local requests = require "qhub.http.request"
local sessions = require "qhub.http.session"
local text = require "qhub.error.text"
local usage_error = require("qhub.error").usage
local version = require "qhub.http.version"

local check = options.check

-- ── options ──────────────────────────────────────────────────────────────────────────────────────

local WHERE = "client_credentials"
local DEFAULT_ENDPOINT = "https://gateway.hub.kipu-quantum.com/token"
local MAX_BYTES = 1 << 20

local CHECKERS = {
  access_key_id = function(value, name, where)
    check.secret(value, name, where)
    if value:find(":", 1, true) then
      options.deny(where, name, "must not contain ':' (is the secret in it, too?)")
    end
    return value
  end,
  secret_access_key = check.secret,
  token_endpoint = function(value, name, where)
    return client_options.check_url(value, name, where, DEFAULT_ENDPOINT)
  end,
  timeout = check.seconds,
  http = client_options.checkers.http,
  transport = client_options.checkers.transport,
}

-- ── one request ──────────────────────────────────────────────────────────────────────────────────

-- The lifetime in seconds of a token whose response has none; the longest time one is kept; how
-- long before its end it is renewed (as the reference client does).
local UNTOLD_LIFETIME, LONGEST_LIFETIME, RENEW_BEFORE = 300, 86400, 120

-- The token and its lifetime in a 2xx response, { token, lifetime }; or nil and what is wrong.
local function grant_in(body, secrets)
  local fields = core.json.document(body)
  local token = type(fields) == "table" and fields.access_token
  if type(token) ~= "string" or token == "" then
    local said = failures.explanation(fields)
    local why = said and ": " .. redact.remote(said, secrets) or ""
    return nil, "the response of the token endpoint has no access_token" .. why
  elseif core.text.has_control(token) then
    return nil, "the access_token of the token endpoint has control characters"
  end
  local lifetime = math.min(tonumber(fields.expires_in) or UNTOLD_LIFETIME, LONGEST_LIFETIME)
  return { token = token, lifetime = math.max(0, lifetime) }
end

local function request_of(session, basic, secrets)
  return requests.new(session, {
    name = WHERE,
    method = "POST",
    fields = {
      authorization = "Basic " .. basic,
      accept = "application/json",
      ["content-type"] = "application/x-www-form-urlencoded",
      ["user-agent"] = "qhub-lua/" .. version,
    },
    authorize = false,
    remedy = "check access_key_id and secret_access_key",
    repeatable = true, -- a second token does no harm
    stream = false,
    compressed = true,
    secrets = secrets,
    decode = function(_, response)
      return grant_in(response.body, secrets)
    end,
  })
end

-- ── the token function ───────────────────────────────────────────────────────────────────────────

local CANCELLED = WHERE .. ": cancelled while waiting for a token"
local PAUSE_AFTER_FAILURE = 10 -- seconds until a renewal that failed is tried again

-- A source has: session, endpoint, request; `held`, the latest grant, with renew_at and expires_at
-- on the monotonic clock, or nil; and `flight`, the fetch under way, or nil.
local Source = {}
Source.__index = Source

-- Fetches a token and keeps it. Returns it; or nil and a reason. A renewal that fails leaves the
-- old token in use as long as it lives.
function Source:fetch()
  local asked_at = loop.now() -- the lifetime began after this, so it ends no earlier
  local grant, err =
    self.session:perform(self.request, self.endpoint, "grant_type=client_credentials")
  if grant then
    local expires_at = asked_at + grant.lifetime
    grant.renew_at, grant.expires_at = expires_at - RENEW_BEFORE, expires_at
    self.held = grant
    return grant.token
  elseif err.kind == "cancelled" then
    return nil, CANCELLED
  end
  local held, now = self.held, loop.now()
  if held and now < held.expires_at then
    held.renew_at = math.min(now + PAUSE_AFTER_FAILURE, held.expires_at)
    return held.token
  end
  local times = err.attempts > 1 and ", " .. err.attempts .. " attempts" or ""
  return nil, ("%s (POST %s%s)"):format(err.message, err.url, times)
end

-- A fetch that others may wait for: source, task, waiters (a set), and its result: token, reason.
-- However it ends, those who wait continue: with its result, or without one when it ended by an
-- error or with its task, which says nothing about the endpoint.
local Flight = {
  __close = function(flight)
    flight.source.flight = nil
    for task in pairs(flight.waiters) do
      loop.wake(task)
    end
  end,
}

-- Fetches for the running `task`, if there is one, and for those that come in the meantime.
function Source:fetch_for_all(task)
  if not task or self.flight then return self:fetch() end
  local flight <close> = setmetatable({ source = self, task = task, waiters = {} }, Flight)
  self.flight = flight
  local token, reason = self:fetch()
  flight.token, flight.reason = token, reason ~= CANCELLED and reason or nil
  return token, reason
end

-- A token other than `rejected`; or nil and a reason. Whoever cannot yield cannot wait for a task
-- and fetches by itself; so does a task that comes back from within its own fetch.
function Source:obtain(rejected)
  if self.held and self.held.token == rejected then self.held = nil end
  while true do
    local held, flight, task, now = self.held, self.flight, loop.current(), loop.now()
    if held and now < held.renew_at then
      return held.token
    elseif not (task and flight) or flight.task == task then
      return self:fetch_for_all(task)
    elseif held and now < held.expires_at then
      return held.token -- good for a while yet; its renewal is under way
    end
    flight.waiters[task] = true
    local ok = loop.park(task)
    flight.waiters[task] = nil
    if not ok then return nil, CANCELLED end
    if flight.token or flight.reason then return flight.token, flight.reason end
  end
end

--- Makes a token function (see the API reference, sections 2 and 8). Nothing is sent yet.
local function client_credentials(given)
  local o = options.checked(given, CHECKERS, WHERE)
  for _, name in ipairs { "access_key_id", "secret_access_key" } do
    if o[name] == nil then usage_error("%s: please provide '%s'", WHERE, name) end
  end
  local endpoint = o.token_endpoint or DEFAULT_ENDPOINT
  local basic = text.base64(o.access_key_id .. ":" .. o.secret_access_key)
  o.max_response_bytes = MAX_BYTES
  local session = sessions.new(o, { base_url = endpoint })
  local request = request_of(session, basic, { basic, o.secret_access_key })
  local source = setmetatable({ session = session, endpoint = endpoint, request = request }, Source)
  return function(rejected)
    local token, reason = source:obtain(rejected)
    if token then return token end
    return nil, reason
  end
end

return client_credentials
