-- The one path of a call: token -> attempt -> redirects -> retry, until an answer or an error.
--
-- Runs in ordinary Lua, so that token functions, loggers, `on_response` and a `transport` function
-- may yield, raise or use this library. Whatever is held when they raise is closed by to-be-closed
-- variables. Knows no operation: what is sent and what the answer means is the client's.
--
-- A plan (made by client.lua) is the request of its first hop (see transport.lua) and has: name,
-- fields (headers without the token), wire (how these were last written out), authorize (false when
-- the program gives or removes Authorization itself), max_retries, repeatable (false: a second copy
-- could start a second run), on_response, suffices(response): true when a 2xx answer is enough
-- although its body broke off, accepts (one status beside 2xx that is an answer), resumes (true for
-- the rest of a file whose opening was told to the log), answer and argument (what a whole answer
-- means, see answer.lua; false: the response itself is what is wanted).

local core = require "qhub.core"
local headers = require "qhub.http.headers"
local log = require "qhub.http.log"
local loop = require "qhub.tasks.loop"
local problem = require "qhub.http.failure"
local redirect = require "qhub.http.redirect"
local retry = require "qhub.http.retry"
local redact = require "qhub.http.redact"
local tokens = require "qhub.auth.token"

local system = core.system
local now = loop.now

local call = {}

-- Makes `plan` the request of one attempt by giving it headers. The common case, a fixed set of
-- fields and an unchanged token, costs nothing: the lines are kept with the plan's `wire`, which
-- all calls of that shape share.
local function first_request(plan, token)
  local wire = plan.wire
  if wire.token ~= token or not wire.headers then
    local fields = headers.merged(plan.fields)
    if token then
      fields.authorization = "Bearer " .. token
    end
    wire.headers = nil -- until all three belong together: memory may give out in between
    wire.token, wire.header_lines = token, headers.lines(fields)
    wire.headers = fields
  end
  plan.headers, plan.header_lines = wire.headers, wire.header_lines
  return plan
end

-- The request of one more attempt at what the gateway pointed to: with the token of that attempt
-- where the first one went with a token.
local function continuation(request, token)
  if token and request.headers.authorization then
    request.headers.authorization = "Bearer " .. token
    request.header_lines = nil
  end
  return request
end

-- What a redirect does not change of a request.
local CONSTANT =
  { "timeout", "connect_timeout", "deadline", "stream", "max_bytes", "decode", "once" }

-- The state of one call. It holds the response of the attempt under way, and closes it when the
-- call is left, however that happens, unless it has been handed on.
local State = {}
State.__index = State

function State:drop()
  local response = self.response
  if response then
    self.response = nil
    response:close()
  end
end

State.__close = State.drop

-- Has room for the fields that every call needs, for a table grows at a price.
local function new_state()
  local fields = { attempts = 0, repeats = 0, token = nil, request = nil, response = nil }
  return setmetatable(fields, State)
end

-- Sends `request`, and what redirects make of it, until an answer that is none. Returns the
-- response (which `state` holds), the failure and, for a redirect that is not followed, the reason.
local function send(session, plan, state, request)
  while true do
    state.request = request
    local response, failure = session.send(request, state)
    if failure or not redirect.is_redirect(response.status_code) then
      return response, failure
    end
    if not session.follow_redirects then
      return response, nil, "follow_redirects is false"
    end
    local following, why = redirect.next(request, response.status_code, response.headers.location)
    if not following then
      return response, nil, why
    end
    log.event(session.log, "debug", "redirect", {
      method = request.method,
      url = following.url,
      status = response.status_code,
      attempt = state.attempts,
    }, redact.of(session, plan, state))
    if request.method ~= "GET" and following.method == "GET" then
      -- The gateway took the request and says where its answer is: from here on only that answer
      -- is asked for, never the request again.
      state.continue_at = following
    end
    for _, name in ipairs(CONSTANT) do
      following[name] = plan[name]
    end
    state:drop()
    request = following
  end
end

local function is_success(status_code)
  return status_code >= 200 and status_code < 300
end

-- The text of an error answer: whole already, or read now from a stream, within the cap. An answer
-- that breaks off has said enough with its status.
local function error_text(session, response)
  if response.body then
    return response.body
  end
  local cap = session.max_response_bytes
  local pieces, size = {}, 0
  while size < cap do
    local chunk = response:read(math.min(65536, cap - size))
    if not chunk then
      break
    end
    size = size + #chunk
    pieces[#pieces + 1] = chunk
  end
  return table.concat(pieces)
end

local function time_left(plan)
  return plan.deadline and plan.deadline - now()
end

-- Tells the log and `on_response` how the call ended. Both are the program's and may raise.
local function conclude(session, plan, state, response, err, started)
  if session.log and (err or not plan.resumes) then
    log.event(session.log, err and "error" or "info", err and "failed" or "done", {
      method = plan.method,
      url = plan.url,
      status = response and response.status_code,
      attempt = state.attempts,
      seconds = now() - started,
      error = err and err.kind .. ": " .. err.message,
    }, redact.of(session, plan, state))
  end
  if response and response.status_code and plan.on_response then
    plan.on_response {
      status_code = response.status_code,
      headers = response.headers,
      method = state.request.method,
      url = state.request.url,
      attempts = state.attempts,
      seconds = now() - started,
    }
  end
end

local function context_of(session, plan, state)
  local asked = state.token and state.request and state.request.headers
  return {
    name = plan.name,
    method = plan.method,
    url = plan.url,
    attempts = state.attempts,
    secret = redact.of(session, plan, state),
    proxy = session.proxy,
    is_token_sent = asked and asked.authorization ~= nil,
    unrepeatable = not plan.repeatable,
  }
end

-- The call ends since its client was closed or its task cancelled.
local function closed(session, plan, state)
  local what = session.is_closed and "the client was closed" or "the task was cancelled"
  local message = what .. " while the call was under way"
  local failure = { kind = "cancelled", message = message, sent = state.attempts > 0 }
  return problem.failure(context_of(session, plan, state), failure)
end

-- Decides on one more attempt after `outcome` (see retry.lua) and waits until it is due; what
-- `state` holds is closed then. Returns true; or nil when the call ends here, with an error if that
-- is its own.
local function try_again(session, plan, state, outcome, requested)
  local failure = outcome.failure
  local delay = retry.delay(
    state.attempts - state.repeats,
    plan.max_retries,
    outcome,
    plan.repeatable or state.continue_at ~= nil,
    requested,
    time_left(plan),
    system.random()
  )
  if not delay then
    return nil
  end
  state.withdrawn = session.pacer:withdraw(failure)
  if not state.withdrawn then
    return nil
  end
  log.event(session.log, "warn", outcome.offset and "resume" or "retry", {
    method = plan.method,
    url = plan.url,
    status = outcome.status_code,
    attempt = state.attempts,
    seconds = now() - state.started,
    delay = delay,
    offset = outcome.offset,
    error = failure and failure.message,
  }, redact.of(session, plan, state))
  state:drop() -- the connection is free for others during the wait
  if delay > 0 and not loop.sleep_until(now() + delay, session) or session.is_closed then
    return nil, closed(session, plan, state)
  end
  return true
end

-- One attempt and the verdict on it: "answer", "again" (the loop goes on at once) or "error" (with
-- the error object). If there is an answer, good or bad, `state` holds it afterwards.
local function attempt(session, plan, state)
  local token
  if plan.authorize then
    if state.fresh_token then
      token, state.fresh_token = state.fresh_token, nil
    else
      local reason
      token, reason = tokens.obtain(session)
      if reason then
        return "error", problem.token(context_of(session, plan, state), reason)
      elseif not token then
        return "error", closed(session, plan, state)
      end
    end
  end
  state.token = token
  local left = time_left(plan)
  if left and left <= 0 then
    local failure = {
      kind = "timeout",
      phase = "total",
      message = "total_timeout passed",
      sent = state.attempts > 0,
    }
    return "error", problem.failure(context_of(session, plan, state), failure)
  end
  state.attempts = state.attempts + 1
  local started = now()
  local following = state.continue_at
  local request = following and continuation(following, token) or first_request(plan, token)
  local response, failure, why = send(session, plan, state, request)
  if session.is_closed then
    state:drop()
    return "error", closed(session, plan, state)
  end
  local status_code = response and response.status_code
  if session.log then
    log.event(session.log, "debug", "attempt", {
      method = state.request.method,
      url = state.request.url,
      status = status_code,
      attempt = state.attempts,
      seconds = now() - started,
      error = failure and failure.message,
      headers = response and response.headers,
    }, redact.of(session, plan, state))
  end
  local accepted = response and (is_success(status_code) or status_code == plan.accepts)
  if accepted and (not failure or plan.suffices(response)) then
    return "answer"
  end
  if failure and response and not is_success(status_code) then
    failure = nil -- the status says more than how its body ended
  end

  -- The token may have expired since it was asked for: once per call, ask for another.
  local carried_token = state.request.headers.authorization ~= nil
  if status_code == 401 and token and carried_token and not state.refreshed then
    state.refreshed = true
    if type(session.token) ~= "string" then
      local another, reason = tokens.obtain(session, token)
      if not another and not reason then
        return "error", closed(session, plan, state)
      elseif not another then
        local text_of_401 = error_text(session, response)
        local cause = problem.status(context_of(session, plan, state), response, text_of_401)
        return "error", problem.token(context_of(session, plan, state), reason, cause)
      elseif another ~= token then
        state:drop()
        state.fresh_token, state.rejected = another, token
        state.repeats = state.repeats + 1
        return "again"
      end
    end
  end

  local requested
  if response and not failure then -- a good answer that broke off does not ask for patience
    requested = retry.requested_wait(response.headers, system.realtime())
  end
  local outcome = { status_code = status_code, failure = failure }
  local again, cancelled = try_again(session, plan, state, outcome, requested)
  if again then
    return "again"
  elseif cancelled then
    return "error", cancelled
  end
  if failure then
    return "error", problem.failure(context_of(session, plan, state), failure, response)
  end
  local said = error_text(session, response)
  return "error", problem.status(context_of(session, plan, state), response, said, requested, why)
end

-- What the answer that `state` holds means; or nil and an error.
local function understand(session, plan, state)
  local response = state.response
  local value, message, line, column = plan.answer(session.owner, response, plan.argument)
  if value == nil then
    local context = context_of(session, plan, state)
    return nil, problem.decode(context, response, response.body, message, line, column)
  end
  return value
end

--- Carries out `plan` for `session`. Returns what the 2xx answer means; without `plan.answer` the
--- response (the caller closes it) and the call's state, for `call.context`. Or nil and an error
--- object. With the `state` of an earlier exchange its count of attempts goes on.
function call.exchange(session, plan, state)
  state = state or new_state()
  local _ <close> = state
  local started = now()
  state.started = started -- of this exchange
  local verdict, err
  repeat
    verdict, err = attempt(session, plan, state)
  until verdict ~= "again"
  local response = state.response
  local value
  if not err then
    session.pacer:deposit(state.withdrawn)
    if plan.answer then
      value, err = understand(session, plan, state)
    end
  end
  if state.token ~= session.last_token or not plan.authorize then
    session.last_token = state.token
    session:remember(redact.carried(plan, state))
  end
  conclude(session, plan, state, response, err, started)
  if err then
    return nil, err
  elseif plan.answer then
    return value
  end
  state.response = nil -- now the caller's
  return response, state
end

call.context = context_of
call.try_again = try_again

return call
