-- Turns what went wrong on the wire into error objects.
--
-- The only place that words such errors: what happened, where, and what to do about it. Remote
-- text is shortened, and the token is taken out wherever a gateway may have echoed it.

local core = require "qhub.core"
local errors = require "qhub.error"
local proxy = require "qhub.http.transport.proxy"
local redact = require "qhub.http.redact"
local retry = require "qhub.http.retry"

local failures = {}

-- HTTP/2 has no reasons of its own.
local REASONS = {
  [400] = "Bad Request",
  [401] = "Unauthorized",
  [403] = "Forbidden",
  [404] = "Not Found",
  [408] = "Request Timeout",
  [409] = "Conflict",
  [422] = "Unprocessable Content",
  [429] = "Too Many Requests",
  [500] = "Internal Server Error",
  [502] = "Bad Gateway",
  [503] = "Service Unavailable",
  [504] = "Gateway Timeout",
}

-- What to do about a status. That of a 401 depends on whose credentials were refused.
local TOKEN_REFUSED = "the token was not accepted (they do not live long); give the client's "
  .. "`token` a fresh one, or a function that returns one, like qhub.credentials.client_credentials"
local TOKEN_NOT_SENT = "the client's token was not sent: the request has an Authorization of its "
  .. "own, or was redirected to another origin"
local NOT_FOUND = "is base_url that of the service, and the id that of one of its executions?"

-- ── what a body says ────────────────────────────────────────────────────────────────────────────

-- Members in which gateways and frameworks say what went wrong. A problem document (RFC 9457) has
-- title and detail; the gateway's own errors have message and description.
local EXPLAINING = { "title", "detail", "message", "error", "description", "error_description" }

-- "body" and "query" say which part of a request a member belongs to.
local PARTS_OF_REQUEST = { body = true, query = true, path = true, header = true }

local MOST_SAID = 5 -- members of a list of faults that a message shows
local MOST_READ = 20000 -- bytes of what one member says; more than a message reads of all of them

-- Where a fault is, as FastAPI gives it: { "body", "values", 0 } is "values.0: ".
local function place_of(steps)
  local place = {}
  for index, step in ipairs(type(steps) == "table" and steps or {}) do
    local is_part = index == 1 and PARTS_OF_REQUEST[step]
    if not is_part and (type(step) == "string" or math.type(step)) then
      place[#place + 1] = tostring(step)
    end
  end
  return place[1] and table.concat(place, ".") .. ": " or ""
end

-- What one member says: a text, without blanks around it and colons after it; the message of an
-- object, as of a fault in FastAPI's list; or what the first of a list say. Or nil.
local function said_by(value)
  if type(value) == "string" then
    local said = value:sub(1, MOST_READ):match "^.*[^%s:]"
    return said and (said:gsub("^%s+", ""))
  elseif type(value) ~= "table" then
    return nil
  elseif value.message or value.msg then
    local said = said_by(value.message or value.msg)
    return said and (place_of(value.loc) .. said):sub(1, MOST_READ)
  end
  local faults = {}
  for index = 1, math.min(#value, MOST_SAID) do
    faults[#faults + 1] = said_by(value[index])
  end
  return faults[1] and table.concat(faults, "; "):sub(1, MOST_READ)
end

-- The texts of `members` in `body`, without `known` and what an earlier one holds already; or nil.
local function joined(body, members, known)
  local all
  for _, name in ipairs(type(body) == "table" and members or {}) do
    local said = said_by(body[name])
    if said and said ~= known and not (all and all:find(said, 1, true)) then
      all = all and all .. ": " .. said or said
    end
  end
  return all
end

--- What the gateway says in a decoded body, in the members that gateways and frameworks use for it;
--- nil when it says nothing but `known`. Remote text, of any length.
function failures.explanation(body, known)
  return joined(body, EXPLAINING, known)
end

--- The reason of a failed run in its `result`: the problem document's "title: detail", else what
--- `error`, `message` or `reason` say; nil when the result says nothing. Remote, of any length.
function failures.reason_of(result)
  return joined(result, { "title", "detail" })
    or joined(result, { "error" })
    or joined(result, { "message" })
    or joined(result, { "reason" })
end

-- ── errors ──────────────────────────────────────────────────────────────────────────────────────

-- The error of a `call` (an Attempts) with `fields`, those that every such error has, and those of
-- its `response`, if there is one.
local function new_error(call, response, fields)
  local secret, headers = redact.of(call), response and response.headers
  fields.message = redact.without(call.request.name .. ": " .. fields.message, secret)
  fields.method, fields.url = call.request.method, redact.url(call.url, secret)
  fields.attempts = call.count
  if response then
    fields.sent, fields.status_code, fields.headers = true, response.status_code, headers
    fields.request_id = headers["x-request-id"]
      or headers["request-id"]
      or headers["x-correlation-id"]
  end
  return errors.new(fields)
end

-- JSON value or text of an error body; nil when it is empty.
local function body_of(body_text)
  if body_text == "" then return nil end
  local value = core.json.decode(body_text, true)
  if value == nil then return body_text end
  return value
end

-- What to do about a status, if that is known. That of a 401 depends on whose credentials were
-- refused.
local function remedy_for_status(call, status_code, said)
  if status_code == 401 then
    local is_token_sent = call.token and call.sent.request.authorize
    return is_token_sent and TOKEN_REFUSED or call.request.remedy or TOKEN_NOT_SENT
  end
  return status_code == 404 and not said and NOT_FOUND
end

--- The error of a call whose response is outside 2xx. `body_text` is what came of its body; `why`
--- says, for a redirect, why it was not followed; `retry_after` is in seconds.
function failures.status(call, body_text, retry_after, why)
  local status_code = call.response.status_code
  local reason, body = REASONS[status_code], body_of(body_text)
  local message = status_code .. (reason and " " .. reason or "")
  local said = failures.explanation(body, reason)
  if said then message = message .. ": " .. redact.remote(said, redact.of(call)) end
  if why then message = message .. ": not followed, " .. why end
  local remedy = remedy_for_status(call, status_code, said)
  if remedy then message = message .. "; " .. remedy end
  if retry_after and retry_after >= 1 then
    message = ("%s; the gateway asks to wait %.0f s"):format(message, retry_after)
    if retry_after > retry.LONGEST_WAIT then
      message = message .. ", which is too long to be waited for here"
    end
  end
  return new_error(
    call,
    call.response,
    { kind = "api", message = message, body = body, retry_after = retry_after }
  )
end

--- The error of a call whose 2xx response is not what it must be. `line` and `column`: where JSON
--- broke, if so.
function failures.decode(call, message, line, column)
  local response = call.response
  local kind = response.headers["content-type"]
  if kind and not kind:lower():find("json", 1, true) then
    kind = redact.remote(kind, redact.of(call), 60)
    local hint = "(is base_url or token_endpoint wrong, or did a proxy respond?)"
    message = ("%s; the response is %s %s"):format(message, kind, hint)
  end
  local body = response.body ~= "" and response.body or nil
  return new_error(
    call,
    response,
    { kind = "decode", message = message, body = body, line = line, column = column }
  )
end

-- libcurl's code for a certificate that is not trusted, and what to do about others of its codes.
local UNTRUSTED = 60
local REMEDIES = {
  [77] = "check http.ca_file and http.ca_path",
  [58] = "check http.client_cert and http.client_key",
}

local function remedy_for(call, failure)
  local said = failure.message
  if failure.code == UNTRUSTED then
    -- Out of date, or for another name, in the TLS library's own words: no authority could help.
    if said:find "expired" or said:find "not yet valid" or said:find "name" then return nil end
    return "the server's certificate is not trusted; name its authority with http.ca_file"
  elseif failure.sent and not call.request.repeatable then
    return "the request was sent and may have started a run; check the list of executions "
      .. "before starting again"
  end
  return REMEDIES[failure.code]
end

--- The error of a call without a response, or with one that broke off; or without a token.
function failures.failure(call, failure, response)
  local kind, cause = failure.kind, failure.cause -- a cause: the 401 before a token failed
  if failure.not_attempted then failure.sent = kind ~= "token" and call.has_left end
  local message = redact.remote(failure.message, redact.of(call), 1000)
  local is_unreached = failure.sent == false and (kind == "network" or kind == "timeout")
  local by = is_unreached and not failure.lasting and proxy.mentioned(call.session.proxy, call.url)
  if by then message = message .. " (" .. by .. ")" end
  local remedy = remedy_for(call, failure)
  if remedy then message = message .. "; " .. remedy end
  return new_error(call, response, {
    kind = kind == "too_large" and "decode" or kind,
    message = message,
    phase = failure.phase,
    sent = failure.sent,
    cause = cause,
    status_code = cause and cause.status_code,
    body = kind == "too_large" and response and response.body or nil,
  })
end

return failures
