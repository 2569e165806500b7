-- The session: everything that a call needs of the client, or token function, it is made for.
--
-- Assumes checked options. Knows no operation and no request. Its fields are read by all modules
-- above and set here only, `is_closed` by `close`:
--
--   send                 the transport (see transport/curl.lua)
--   connections          of the engine, closed with the session; false with a transport function
--   token                the client's string, or false
--   token_source         function(session, rejected) -> a token, a fresh one when `rejected` was
--                        refused; or nil and a failure. Used when there is no string (auth/token)
--   owner                what values made from responses belong to; opaque here
--   base_url             without a slash at its end
--   log                  see log.lua, or false
--   paced_until          where the next place for a retry is: see Session:pace
--   paid                 seconds by which successes have brought forward all places
--   proxy                the option; nil: as the environment says; false: none
--   connect_timeout      seconds, or nil: see request.lua
--   plain_list           function(options): the list of executions as plain tables, by the client
--   is_closed            true from `close` on
--   secrets              what the last calls carried, a list, latest first
--
-- and those of DEFAULTS.

local loop = require "qhub.tasks.loop"
local proxy = require "qhub.http.transport.proxy"

local Session = { __name = "qhub.Session" }
Session.__index = Session

-- What the options say, and what holds otherwise.
local DEFAULTS = {
  headers = {}, -- sent with every request: lower-case names; false removes
  timeout = 60, -- seconds without progress
  total_timeout = false, -- seconds for a whole call
  max_retries = 2, -- extra attempts for transient failures
  max_response_bytes = 64 << 20, -- of a body in memory
  follow_redirects = true,
  on_response = false, -- function
}

local MOST_REMEMBERED = 64
local RESERVE, RATE = 100, 50 -- retries that go at once; retries a second after these
local PAID = 2 / RATE -- seconds by which a success brings them forward

--- Remembers `secrets` (a list) among the latest of this session.
function Session:remember(secrets)
  local latest = self.secrets
  for _, secret in ipairs(secrets) do
    local place = 1
    while latest[place] and latest[place] ~= secret and place < MOST_REMEMBERED do
      place = place + 1
    end
    table.move(latest, 1, place - 1, 2)
    latest[1] = secret
  end
end

--- The failure of a call whose session was closed, or whose task was cancelled.
function Session:closed_failure()
  local what = self.is_closed and "the client was closed" or "the task was cancelled"
  local message = what .. " during the call"
  return { kind = "cancelled", message = message, not_attempted = true }
end

--- Sends `request` (see request.lua) with `token`. Returns as the transport does; a failure that
--- has `not_attempted` came before anything was sent.
function Session:transfer(request, token, url, body, deadline)
  if self.is_closed then
    return nil, self:closed_failure()
  elseif deadline and deadline <= loop.now() then
    local message = "total_timeout passed"
    return nil, { kind = "timeout", phase = "total", message = message, not_attempted = true }
  end
  return self.send(request, token, url, body, deadline)
end

--- One attempt, with `token` or one that is obtained for it. Returns the response, the failure (one
--- of them, or both when the body broke off) and the token.
function Session:attempt(request, url, body, deadline, token)
  local response, failure
  if request.authorize and not token then
    token = self.token
    if not token then
      token, failure = self:token_source()
    end
    if failure then return nil, failure end
  end
  response, failure = self:transfer(request, token, url, body, deadline)
  return response, failure, token
end

--- Takes a place for one retry. Returns the seconds by which it is held back, so that a failing
--- gateway is not flooded: the first RESERVE go at once, then RATE a second, however many calls
--- wait. A retry is refused (nil, and no place is taken) only when its place would come after the
--- `left` seconds that the call has: how often a call is tried is for its `max_retries` to say.
function Session:pace(left)
  local now = loop.now() + self.paid
  local place = math.max(self.paced_until, now - RESERVE / RATE)
  local delay = math.max(0, place - now)
  if left and delay >= left then return nil end
  self.paced_until = place + 1 / RATE
  return delay
end

--- A call succeeded and pays for further retries, also for those that are held back already, so
--- that a gateway that is back is used at its own speed.
function Session:succeeded()
  self.paid = self.paid + PAID
end

--- Carries out `request` (see request.lua) with `url` and `body` (or nil). Returns what the 2xx
--- response means to `request.decode`, which gets `id`, too; or nil and an error object. The first
--- attempt is made here; what is more than that is in attempts.lua.
function Session:perform(request, url, body, id)
  local started = loop.now()
  local total_timeout = request.total_timeout
  local response, failure, token =
    self:attempt(request, url, body, total_timeout and started + total_timeout)
  if
    not failure
    and response.status_code >= 200
    and response.status_code < 300
    and request.authorize
    and not (self.log or request.on_response or self.is_closed)
  then
    if token ~= self.secrets[1] then self:remember { token } end
    local value = request.decode(self.owner, response, id)
    if value ~= nil then
      response:close()
      self:succeeded()
      return value
    end
  end
  local attempts = require "qhub.http.attempts"
  return attempts.finish(self, request, url, body, id, started, response, failure, token)
end

--- Closes the connections and ends the sleeps of its calls. Idempotent.
function Session:close()
  if not self.is_closed then
    self.is_closed = true
    if self.connections then self.connections:close() end
    loop.wake_sleepers(self)
  end
end

local session = {}

--- A session with the checked options `o` of a client (see options/client.lua) and `fields` (taken
--- over, not copied): token_source, log, base_url, owner; each may be missing.
function session.new(o, fields)
  local self, http = fields, o.http or {}
  for name, default in pairs(DEFAULTS) do
    self[name] = o[name]
    if self[name] == nil then self[name] = default end
  end
  if o.transport then
    self.send = require("qhub.http.transport.program").over(o.transport)
    self.connections, self.proxy = false, false -- none that is known
  else
    self.connections, self.proxy = loop.engine():session(http), http.proxy
    local send = require("qhub.http.transport.curl").over(self.connections)
    self.send = proxy.guarded(send, http, self.base_url)
  end
  self.token = type(o.token) == "string" and o.token
  self.connect_timeout = http.connect_timeout
  self.log, self.is_closed = fields.log or false, false
  self.paced_until, self.paid = 0, 0
  self.secrets = proxy.secrets(self.proxy or nil)
  return setmetatable(self, Session)
end

return session
