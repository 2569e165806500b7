-- `qhub.credentials.client_credentials`: a token function over the OAuth2 client credentials grant
-- (RFC 6749, 4.4).
--
-- It keeps the token and renews it before it expires; single_flight.lua fetches it once however
-- many callers wait.
-- The request goes the same way as every other call (attempts.lua), by a session of its own.
-- What is secret (the secret, the Basic credentials, tokens) is never in a reason or message.

local client_options = require "qhub.options.client"
local core = require "qhub.core"
local loop = require "qhub.tasks.loop"
local usage_error = require("qhub.error").usage
local options = require "qhub.options"
local failures = require "qhub.http.failure"
local new_request = require("qhub.http.request").new
local sessions = require "qhub.http.session"
local single_flight = require "qhub.auth.single_flight"
local text = require "qhub.error.text"
local redact = require "qhub.http.redact"
local version = require "qhub.http.version"

local check = options.check

-- ── options ──────────────────────────────────────────────────────────────────────────────────────

local WHERE = "client_credentials"
local DEFAULT_ENDPOINT = "https://gateway.hub.kipu-quantum.com/token"
local DEFAULT_TIMEOUT, RETRIES, MAX_BYTES = 60, 2, 1 << 20

local CLIENT_CREDENTIALS = {
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

local function required(given)
  if type(given) ~= "table" then
    usage_error("%s: a table of options is needed, got a %s", WHERE, type(given))
  end
  local o = options.checked(given, CLIENT_CREDENTIALS, WHERE)
  for _, name in ipairs { "access_key_id", "secret_access_key" } do
    if o[name] == nil then usage_error("%s: please provide '%s'", WHERE, name) end
  end
  return o
end

-- ── one request ──────────────────────────────────────────────────────────────────────────────────

local function session_for(o, endpoint)
  return sessions.new({
    timeout = o.timeout or DEFAULT_TIMEOUT,
    http = o.http,
    transport = o.transport,
    max_retries = RETRIES,
    max_response_bytes = MAX_BYTES,
  }, { base_url = endpoint })
end

local function request_of(session, authorization)
  return new_request {
    name = WHERE,
    method = "POST",
    fields = {
      authorization = authorization,
      accept = "application/json",
      ["content-type"] = "application/x-www-form-urlencoded",
      ["user-agent"] = "qhub-lua/" .. version,
    },
    authorize = false,
    timeout = session.timeout,
    connect_timeout = session:time_to_connect(session.timeout),
    max_retries = RETRIES,
    repeatable = true, -- a second token does no harm
    max_bytes = MAX_BYTES,
    compressed = true,
    decode = function(_, response)
      return response.body
    end,
  }
end

-- `message` with what the endpoint said in its decoded body, if anything.
local function with_explanation(message, body, secrets)
  local said = failures.explanation(body)
  return said and message .. ": " .. redact.remote(said, secrets) or message, said
end

-- Why there is no token, without the endpoint. `err` is the error of the call.
local function failure_text(err, secrets)
  if err.kind ~= "api" then return redact.remote(err.message, secrets) end
  local status_code = err.status_code
  local message = WHERE .. ": the token endpoint returned " .. status_code
  local explained, said = with_explanation(message, err.body, secrets)
  if not said and status_code >= 300 and status_code < 400 then
    return message .. ": a redirect that is not followed"
  elseif status_code == 401 then
    return explained .. "; check access_key_id and secret_access_key"
  end
  return explained
end

-- The lifetime in seconds of a token whose response has none; the longest time one is kept; how
-- long before its end it is renewed (as the reference client does).
local UNTOLD_LIFETIME, LONGEST_LIFETIME, RENEW_BEFORE = 300, 86400, 120

local function lifetime_of(expires_in)
  local kind = type(expires_in)
  local seconds = (kind == "number" or kind == "string") and tonumber(expires_in)
  if not seconds then return UNTOLD_LIFETIME end
  return math.max(0, math.min(seconds, LONGEST_LIFETIME))
end

-- The token and its lifetime in a 2xx response; or nil and what is wrong with it.
local function token_in(body, secrets)
  local fields = core.json.document(body)
  if type(fields) ~= "table" then
    return nil, "the response of the token endpoint is not a JSON object"
  end
  local token = fields.access_token
  if type(token) ~= "string" or token == "" then
    local message = "the response of the token endpoint has no access_token"
    return nil, (with_explanation(message, fields, secrets))
  elseif core.text.has_control(token) then
    return nil, "the access_token of the token endpoint has control characters"
  end
  return token, lifetime_of(fields.expires_in)
end

-- ── the token function ───────────────────────────────────────────────────────────────────────────

local CANCELLED = WHERE .. ": cancelled while waiting for a token"
local PAUSE_AFTER_FAILURE = 10 -- seconds until a renewal that failed is tried again

--- Makes a token function (see the API reference, sections 2 and 8). Nothing is sent yet.
local function client_credentials(given)
  local o = required(given)
  local endpoint = o.token_endpoint or DEFAULT_ENDPOINT
  local session = session_for(o, endpoint)
  local basic = text.base64(o.access_key_id .. ":" .. o.secret_access_key)
  local secrets = { basic, o.secret_access_key }
  local request = request_of(session, "Basic " .. basic)
  local held -- the latest token: { token, renew_at, expires_at } on the monotonic clock

  -- Fetches a token and keeps it. Returns it; or nil, a reason, and whether the caller's wait was
  -- ended from outside, which says nothing about the endpoint.
  local function fetched()
    local asked_at = loop.now() -- the lifetime began after this, so it ends no earlier
    local body, err = session:perform(request, endpoint, "grant_type=client_credentials")
    local reason, count
    if body then
      local token, lifetime = token_in(body, secrets)
      if token then
        held = {
          token = token,
          renew_at = asked_at + lifetime - RENEW_BEFORE,
          expires_at = asked_at + lifetime,
        }
        return token
      end
      reason = WHERE .. ": " .. lifetime
    elseif err.kind == "cancelled" then
      return nil, CANCELLED, true
    else
      reason, count = failure_text(err, secrets), err.attempts
    end
    local times = count and count > 1 and ", " .. count .. " attempts" or ""
    return nil, reason .. " (POST " .. redact.remote(redact.url(endpoint), secrets) .. times .. ")"
  end

  -- The same; but a renewal that fails leaves the old token in use as long as it lives.
  local function renewed()
    local token, reason, was_cancelled = fetched()
    if not token and not was_cancelled and held then
      local now = loop.now()
      if now < held.expires_at then
        held.renew_at = math.min(now + PAUSE_AFTER_FAILURE, held.expires_at)
        return held.token
      end
    end
    return token, reason, was_cancelled
  end

  local flight = single_flight(renewed)

  local function obtain(rejected)
    if held and held.token == rejected then held = nil end
    while true do
      local now = loop.now()
      if held and now < held.renew_at then
        return held.token
      elseif flight:is_free() then
        return flight:run()
      elseif held and now < held.expires_at then
        return held.token -- good for a while yet; its renewal is under way
      end
      local ok, token, reason = flight:join()
      if not ok then
        return nil, CANCELLED
      elseif token or reason then
        return token, reason
      end
    end
  end

  return function(rejected)
    local token, reason = obtain(rejected)
    if token then return token end
    return nil, reason
  end
end

return client_credentials
