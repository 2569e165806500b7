-- The loop of a call: token, send, redirects, 401, retries, until a response or an error.
--
-- Calls and streams take the same path. A call whose first attempt succeeds, and that nobody
-- watches, needs none of this (see `Session:perform`); an Attempts takes over with what the first
-- attempt brought.
-- Runs in ordinary Lua, so that token functions, loggers, `on_response` and a `transport` function
-- may yield, raise or use this library. What is held when they raise is closed by to-be-closed
-- variables. Knows no operation: what is sent and what the response means is in the request.

local core = require "qhub.core"
local loop = require "qhub.tasks.loop"
local redirect = require "qhub.http.redirect"
local retry = require "qhub.http.retry"

local MOST_HOPS = 20
local LONGEST_SLEEP = 0.5 -- seconds after which a call that is held back looks at its place again

-- The state of a call, whose other methods (log, errors) are in report.lua:
--   session, request, url         what is asked, for whom
--   start                         the hop that an attempt begins with: the request's, or, after a
--                                 303, what that pointed to. A hop is { request, url, body }
--   sent                          the hop that was sent last, redirects included
--   token                         of the last attempt; or of the next one, when it has to have this
--   rejected                      the token that a 401 refused: once for each call
--   response                      of the last attempt; held, and so closed with the call
--   latest                        what `on_response` shows of the last response there was
--   is_reported                   of a stream the first response alone is reported
--   count, extra                  attempts so far; those of them that max_retries leaves out
--   has_left                      true when the request of one of them may have left
--   started, attempt_started, deadline     on the monotonic clock
local Attempts = {
  count = 0,
  extra = 0,
  token = false,
  rejected = false,
  response = false,
  latest = false,
  is_reported = false,
  has_left = false,
}
Attempts.__index = setmetatable(Attempts, { __index = require "qhub.http.report" })

local function new(session, request, url, body, started)
  local total_timeout = request.total_timeout
  return setmetatable({
    session = session,
    request = request,
    url = url,
    start = { request = request, url = url, body = body },
    started = started,
    deadline = total_timeout and started + total_timeout,
  }, Attempts)
end

-- Holds the response of an attempt, if there is one. What `on_response` shows of it outlives it.
function Attempts:hold(response)
  self.response = response or false
  if response and self.request.on_response then
    self.latest = {
      status_code = response.status_code,
      headers = response.headers,
      method = self.sent.request.method,
      url = self.sent.url,
    }
  end
end

--- Closes the response that is held.
function Attempts:drop()
  local response = self.response
  if response then
    self.response = false
    response:close()
  end
end

Attempts.__close = Attempts.drop

local function is_success(status_code)
  return status_code >= 200 and status_code < 300
end

-- Follows redirects from `response` until a response that is none. Returns that (which is held),
-- the failure and, for a redirect that is not followed, the reason.
function Attempts:follow(response, failure)
  local session, hops = self.session, 0
  while response and not failure and redirect.STATUSES[response.status_code] do
    if not session.follow_redirects then return response, nil, "follow_redirects is false" end
    if hops == MOST_HOPS then return response, nil, "more than " .. MOST_HOPS .. " redirects" end
    local method = self.sent.request.method
    local hop, why = redirect.next(self.sent, response.status_code, response.headers.location)
    if not hop then return response, nil, why end
    self:log("debug", "redirect", { method = method, url = hop.url })
    -- Another method: the gateway took the request and says where its result is. From here on only
    -- that is asked for, never the request again.
    if method ~= hop.request.method then self.start = hop end
    hops, self.sent = hops + 1, hop
    self:drop()
    response, failure =
      session:transfer(hop.request, self.token or nil, hop.url, hop.body, self.deadline)
    self:hold(response)
  end
  return response, failure
end

-- ── after an attempt ────────────────────────────────────────────────────────────────────────────

-- A token may have expired since it was obtained: after a 401, once for each call, another is asked
-- for. Returns true when the request is to be repeated with it; or false and an error, or false.
function Attempts:refresh_token()
  local token, session = self.token, self.session
  -- A string is all that the program has.
  if not token or not self.sent.request.authorize or self.rejected or session.token then
    return false
  end
  local another, failure = session:token_source(token)
  if failure then
    failure.cause = failure.kind == "token" and self:refused() or nil
    return false, self:failed(failure)
  elseif another == token then
    return false
  end
  self:drop()
  self.token, self.rejected, self.extra = another, token, self.extra + 1
  return true
end

-- Sleeps for `delay` seconds, and then for as much of the seconds `held_back` as successes of other
-- calls do not pay for. Returns false when the wait was ended early.
local function sleep(session, delay, held_back)
  local earliest = loop.now() + delay
  local due = earliest + held_back + session.paid
  if session.is_closed or delay > 0 and not loop.sleep_until(earliest, session) then
    return false
  end
  while held_back > 0 and loop.now() < due - session.paid do
    local longest = loop.now() + LONGEST_SLEEP
    if not loop.sleep_until(math.min(due - session.paid, longest), session) then return false end
  end
  return not session.is_closed
end

--- Decides on one more attempt after `result` (see retry.lua) and waits until it is due; what is
--- held is closed then. Returns true; or false when the call ends here, with an error if that is
--- its own. `named` is the wait in seconds that the gateway asks for, or nil.
function Attempts:retry(result, named)
  local session, failure = self.session, result.failure
  local left = self.deadline and self.deadline - loop.now()
  local delay = retry.delay(
    self.count - self.extra,
    self.request.max_retries,
    result,
    self.start.request.repeatable,
    named,
    left,
    core.system.random()
  )
  -- A gateway that names a wait paces us by itself, unless it names none: 0.
  local is_paced = named and named > 0
  local held_back = delay and (is_paced and 0 or session:pace(left and left - delay))
  if not held_back then return false end
  self:log("warn", result.offset and "resume" or "retry", {
    delay = delay + held_back,
    offset = result.offset,
    error = failure and failure.message,
  })
  self:drop() -- the connection is free for others during the wait
  if not sleep(session, delay, held_back) then return false, self:cancelled() end
  if self.token then session:remember { self.token } end -- the next one may be another
  self.token = false
  return true
end

-- Judges one attempt, whose response is held. Returns true when another one follows; or false, and
-- the error unless the response is what was wanted.
function Attempts:judge(response, failure, why)
  local status_code = response and response.status_code
  local request, session, again, err = self.start.request, self.session, nil, nil
  if failure and failure.not_attempted then return false, self:failed(failure) end
  if session.is_closed then
    err = self:cancelled()
    if response and request.once and is_success(status_code) then
      -- The run that was started may cost money.
      err.execution = request.decode(session.owner, response)
    end
    return false, err
  end
  self:log("debug", "attempt", {
    method = self.sent.request.method,
    url = self.sent.url,
    seconds = loop.now() - self.attempt_started,
    error = failure and failure.message,
    headers = session.log and response and response.headers,
  })
  if response and (is_success(status_code) or status_code == request.also_ok_status) then
    local truncated_is_ok = request.accept_truncated
    if not failure or truncated_is_ok and truncated_is_ok(response) then return false end
  elseif response then
    failure = nil -- the status says more than how the body ended
  end
  if status_code == 401 then
    again, err = self:refresh_token()
  end
  if again or err then return again, err end
  -- A good response that broke off does not ask for patience.
  local named = response and not failure and retry.requested_wait(response.headers) or nil
  again, err = self:retry({ status_code = status_code, failure = failure }, named)
  if again or err then return again, err end
  return false, failure and self:failed(failure, response) or self:refused(named, why)
end

-- Goes on from what the first attempt brought until the call has a response, which is held then.
-- Returns nil, or the error.
function Attempts:settle(response, failure, token)
  self.attempt_started = self.started
  while true do
    local start = self.start
    self.token, self.sent = token or false, start
    self:hold(response)
    if not (failure and failure.not_attempted) then
      self.count = self.count + 1
      self.has_left = self.has_left or response ~= nil or failure.sent ~= false
    end
    local why
    response, failure, why = self:follow(response, failure)
    local again, err = self:judge(response, failure, why)
    if not again then
      if not err then self.session:succeeded() end
      return err
    end
    self.attempt_started, start = loop.now(), self.start
    response, failure, token =
      self.session:attempt(start.request, start.url, start.body, self.deadline, self.token)
  end
end

-- ── calls ───────────────────────────────────────────────────────────────────────────────────────

local attempts = {}

--- Goes on with a call that began at `started`, after its first attempt brought `response`,
--- `failure` and `token`; `id` is for the decoder. Returns the value, or nil and an error object.
function attempts.finish(session, request, url, body, id, started, response, failure, token)
  local held <close> = new(session, request, url, body, started)
  local err = held:settle(response, failure, token)
  local value, message, line, column
  if not err then
    value, message, line, column = request.decode(session.owner, held.response, id)
    if value == nil then err = held:undecodable(message, line, column) end
  end
  held:report(err)
  if err then return nil, err end
  return value
end

--- The attempts at a stream, whose responses are handed to the caller. Nothing is sent yet.
function attempts.stream(session, request, url)
  return new(session, request, url, nil, loop.now())
end

--- Opens the stream: with the header fields `range` (and status 416 as a response to them), or from
--- its beginning. Returns the response, which the caller closes; or nil and an error object.
function Attempts:open(range)
  local held <close> = self
  local request = held.request
  if range then
    local fields = require("qhub.http.headers").merged(request.fields, range)
    request = request:with { fields = fields, also_ok_status = 416 }
  end
  held.start = { request = request, url = held.url }
  held.started = loop.now()
  local err = held:settle(held.session:attempt(request, held.url, nil, held.deadline))
  held:report(err)
  if err then return nil, err end
  held.is_reported = true
  local response = held.response
  held.response = false
  return response
end

--- A stream made progress before it broke: the break has retries of its own, and its own chance of
--- a fresh token.
function Attempts:count_anew()
  self.extra, self.rejected = self.count - 1, false
end

--- `total_timeout` does not hold any longer.
function Attempts:lift_deadline()
  self.deadline = nil
end

return attempts
