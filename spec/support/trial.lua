-- One fault put before each of the seven operations, for the specs in spec/faults.
--
-- Responsible for: carrying out an operation against a server that fails in some way, and checking
-- what every failure has to be: an error of the right kind with what is known of it, no request
-- more than is allowed (a start never twice when the first may have arrived), no descriptor left,
-- and a client that works when the server does. The delay before a retry is left out.
--
-- `expected` is a function(call, most) -> what is expected of that operation (`most`: how often it
-- may be tried):
--   kind, phase, sent, status_code     of the error; none: the call succeeds
--   attempts                           as the error tells them
--   requests                           as the server counts them
--   value                              of a call that succeeds, as in calls.lua

local assert = require "luassert"
local calls = require "spec.support.calls"
local client_of = require "spec.support.client_of"
local cqueues = require "cqueues"
local listing = require "spec.support.listing"
local qhub = require "qhub"
local retry = require "qhub.http.retry"
local scripted = require "spec.support.scripted"

local trial = {}

local RETRIES = 2
local PATIENT = { timeout = 30 } -- for what has to succeed, on any machine

-- ── verdicts ─────────────────────────────────────────────────────────────────────────────────────

--- The request never left: everything is tried again, a start as well. Nothing reaches the server.
function trial.never_sent(kind, seen)
  return function(_, most)
    return { kind = kind, phase = "connect", sent = false, attempts = most, requests = seen or 0 }
  end
end

--- The request was under way and no response came: repeated unless it could start a second run.
function trial.unanswered(kind)
  return function(call, most)
    local count = call.repeatable and most or 1
    return { kind = kind, phase = "read", sent = true, attempts = count, requests = count }
  end
end

--- The head of a good response came, its body broke off after `received` bytes. A start may have
--- happened; for a cancel the status is all that counts; a file that cannot be resumed ends after
--- its first byte.
function trial.broken(kind, received)
  return function(call, most)
    if call.ignores_body then return { value = true, requests = 1 } end
    local again = call.repeatable and not (call.is_file and received > 0)
    local count = again and most or 1
    return {
      kind = kind,
      phase = "read",
      sent = true,
      status_code = not call.is_file and 200 or nil,
      attempts = count,
      requests = count,
    }
  end
end

--- A response outside 2xx: `transient` ones are asked for again, by a start too.
function trial.status(status_code, transient)
  return function(_, most)
    local count = transient and most or 1
    return {
      kind = "api",
      sent = true,
      status_code = status_code,
      attempts = count,
      requests = count,
    }
  end
end

--- A response that is larger than is taken, and will be the next time. `status_code` is that of the
--- answer if its head was taken.
function trial.too_large(status_code)
  return function()
    return {
      kind = "decode",
      phase = "read",
      sent = true,
      status_code = status_code,
      attempts = 1,
      requests = 1,
    }
  end
end

--- All is well. The value is that of the good response.
function trial.fine(call)
  return { value = call.value, requests = 1 }
end

-- ── carrying out ─────────────────────────────────────────────────────────────────────────────────

cqueues.poll(0.001) -- it opens descriptors of its own at its first wait

--- How many descriptors this process has open, after what is garbage has let go of its own.
function trial.descriptors()
  collectgarbage()
  collectgarbage()
  return listing.descriptors()
end

--- Retries come at once until the returned value is closed.
function trial.at_once()
  local backoff = retry.backoff
  function retry.backoff()
    return 0
  end
  return setmetatable({}, {
    __close = function()
      retry.backoff = backoff
    end,
  })
end

--- The good response to a call, on a connection that is kept.
function trial.good(call)
  local fields = { "Content-Type: " .. (call.is_file and "text/plain" or "application/json") }
  return scripted.kept("200 OK", call.body, fields)
end

-- A value as it can be compared with that of another response.
local function plain(value)
  if type(value) == "table" or type(value) == "userdata" then
    return qhub.json.decode(qhub.json.encode(value))
  end
  return value
end

-- What a call gave, as it can be compared with an expectation; `asked` is what the server saw of
-- it.
local function observed(value, err, asked)
  if value ~= nil then return { value = plain(value), requests = #asked } end
  return {
    kind = err.kind,
    phase = err.phase,
    sent = err.sent,
    status_code = err.status_code,
    attempts = err.attempts,
    requests = #asked,
  }
end

--- Carries out `call` while `server` plays `scripts`; checks what is observed by `expected`, and
--- that the same client gets a good response afterwards. `options` are the client's, `of_call`
--- those of the call.
function trial.one(server, call, scripts, expected, options, of_call)
  local client <close> = client_of(server, { max_retries = RETRIES }, options)
  server:play(table.unpack(scripts))
  local value, err = call.invoke(client, of_call)
  local asked = server:requests()
  for _, request in ipairs(asked) do
    if request.method ~= "?" then
      assert.equal(call.method, request.method)
      assert.matches(call.path, request.target)
    end
  end
  if err then
    assert.is_true(qhub.is_error(err))
    assert.is_nil(tostring(err):find "\n")
  end
  local most = 1 + (options and options.max_retries or RETRIES)
  assert.same(expected(call, most), observed(value, err, asked), call.name .. ": " .. tostring(err))
  server:play(trial.good(call))
  local again, failure = call.invoke(client, PATIENT)
  assert(again, failure)
  assert.same(call.value, plain(again), call.name .. " afterwards")
end

--- Does that with each of the seven operations; no descriptor may be left.
function trial.all(server, scripts, expected, options)
  local _ <close> = trial.at_once()
  local good = { trial.good(calls.get_status) }
  trial.one(server, calls.get_status, good, trial.fine, options, PATIENT)
  local before = trial.descriptors()
  for _, call in ipairs(calls) do
    trial.one(server, call, scripts, expected, options)
  end
  assert.equal(before, trial.descriptors())
end

return trial
