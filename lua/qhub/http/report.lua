-- What is said about a call: its errors, its events in the log, the program's `on_response`.
--
-- Methods of Attempts (see attempts.lua), which decides; nothing here sends or waits. Loggers and
-- hooks are the program's and may raise, yield or use this library.

local failures = require "qhub.http.failure"
local log = require "qhub.http.log"
local loop = require "qhub.tasks.loop"
local redact = require "qhub.http.redact"

local report = {}

--- What the gateway may say back to this call, a list: what it carried, and what the session knows.
function report:secrets()
  return redact.of(self.session, self.request, self)
end

--- What error objects are made of (see failure.lua).
function report:context()
  return {
    name = self.request.name,
    method = self.request.method,
    url = self.url,
    attempts = self.count,
    secret = self:secrets(),
    proxy = self.session.proxy,
    is_token_sent = self.token and self.sent.authorize,
    unrepeatable = not self.request.repeatable,
  }
end

--- Logs an event of this call, with `fields` added to the usual ones.
function report:log(level, event, fields)
  local session = self.session
  if session.log then
    fields.method = fields.method or self.request.method
    fields.url = fields.url or self.url
    fields.attempt = self.count
    log.event(session.log, level, event, fields, self:secrets())
  end
end

--- The error of a call whose client was closed, or whose task was cancelled.
function report:cancelled()
  return self:not_attempted(self.session:closed_failure())
end

--- Logs how the call ended and calls `on_response`. Both are the program's and may raise. Of a
-- stream only the first response is reported, and what ends it early.
function report:report(err)
  local session, response = self.session, self.response
  local is_reported = self.is_reported
  if err or not is_reported then
    self:log(err and "error" or "info", err and "failed" or "done", {
      status = response and response.status_code or nil,
      seconds = loop.now() - self.started,
      error = err and err.kind .. ": " .. err.message,
    })
  end
  if not self.request.authorize or self.rejected or self.token ~= session.last_token then
    session.last_token = self.token
    session:remember(redact.carried(self.request, self))
  end
  local latest = self.latest
  if latest and not is_reported then
    latest.attempts, latest.seconds = self.count, loop.now() - self.started
    self.request.on_response(latest)
  end
end

--- The text of an error response: whole already, or read now from a stream, within the cap. One
-- that breaks off has said enough with its status.
function report:error_text()
  local response, cap = self.response, self.session.max_response_bytes
  if response.body then return response.body end
  local pieces, size = {}, 0
  while size < cap do
    local chunk = response:read(math.min(65536, cap - size))
    if not chunk then break end
    size = size + #chunk
    pieces[#pieces + 1] = chunk
  end
  return table.concat(pieces)
end

--- The error of a failure before anything was sent.
function report:not_attempted(failure)
  if failure.kind == "token" then return failures.token(self:context(), failure.message) end
  failure.sent = self.count > 0
  return failures.failure(self:context(), failure)
end

--- The error of a response that does not mean anything.
function report:undecodable(message, line, column)
  local response = self.response
  return failures.decode(self:context(), response, response.body, message, line, column)
end

--- The error for a `failure` that ends a stream at `offset`, after logging it.
function report:fail(failure, response, offset)
  local err = failures.failure(self:context(), failure, response)
  self:log("error", "failed", {
    status = response and response.status_code,
    seconds = loop.now() - self.started,
    offset = offset,
    error = err.kind .. ": " .. err.message,
  })
  return err
end

return report
