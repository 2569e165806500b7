-- What is said about a call: its errors, its events in the log, the program's `on_response`.
--
-- Methods of Attempts (see attempts.lua), which decides; nothing here sends or waits. Loggers and
-- hooks are the program's and may raise, yield or use this library.

local failures = require "qhub.http.failure"
local log = require "qhub.http.log"
local loop = require "qhub.tasks.loop"
local redact = require "qhub.http.redact"

local report = { failed = failures.failure, undecodable = failures.decode }

--- Logs an event of this call, with `fields` added to the usual ones.
function report:log(level, event, fields)
  local session, response = self.session, self.response
  if not session.log then return end
  fields.method = fields.method or self.request.method
  fields.url = fields.url or self.url
  fields.status = fields.status or response and response.status_code or nil
  fields.seconds = fields.seconds or loop.now() - self.started
  fields.attempt = self.count
  log.event(session.log, level, event, fields, redact.of(self))
end

--- Logs how the call ended and calls `on_response`. Both are the program's and may raise. Of a
--- stream only the first response is reported, and what ends it early, at `offset`.
function report:report(err, offset)
  local latest, is_first = self.latest, not self.is_reported
  if err then
    local failed = err.kind .. ": " .. err.message
    self:log("error", "failed", { status = err.status_code, offset = offset, error = failed })
  elseif is_first then
    self:log("info", "done", {})
  end
  self.session:remember(redact.carried(self))
  if latest and is_first then
    latest.attempts, latest.seconds = self.count, loop.now() - self.started
    self.request.on_response(latest)
  end
end

--- The error for a `failure` that ends a stream at `offset`, after logging it.
function report:fail(failure, response, offset)
  local err = self:failed(failure, response)
  self:report(err, offset)
  return err
end

--- The error of a call whose client was closed, or whose task was cancelled.
function report:cancelled()
  return self:failed(self.session:closed_failure())
end

-- The text of an error response: whole already, or read now from a stream, within the cap. One
-- that breaks off has said enough with its status.
local function error_text(response, cap)
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

--- The error of a status that is none of success; see failure.lua.
function report:refused(retry_after, why)
  local body = error_text(self.response, self.session.max_response_bytes)
  return failures.status(self, body, retry_after, why)
end

return report
