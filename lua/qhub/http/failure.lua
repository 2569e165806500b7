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

-- JSON value or text of an error body; nil when it is empty.
local function body_of(body_text)
  if body_text == "" then return nil end
  local value = core.json.decode(body_text, true)
  if value == nil then return body_text end
  return value
end

-- Members in which gateways and frameworks say what went wrong. A problem document (RFC 9457) has
-- title and detail; the gateway's own errors have message and description.
local EXPLAINING = { "title", "detail", "message", "error", "description", "error_description" }

-- "body" and "query" say which part of a request a member belongs to.
local PARTS_OF_REQUEST = { body = true, query = true, path = true, header = true }

local MOST_SAID = 5 -- members of a list of faults that a message shows

local MOST_READ = 20000 -- bytes of one member; more than a message reads of all of them

-- `said` without blanks around it and colons after it; nil when nothing is left.
local function trimmed(said)
  said = said:sub(1, MOST_READ):match "^.*[^%s:]"
  return said and (said:gsub("^%s+", ""))
end

-- One fault of a list as FastAPI gives it: { loc = { "body", "values" }, msg = "field required" }.
local function fault_text(fault)
  if type(fault) ~= "table" then fault = { msg = fault } end
  local said = type(fault.msg) == "string" and trimmed(fault.msg)
  if not said then return nil end
  local place = {}
  for index, step in ipairs(type(fault.loc) == "table" and fault.loc or {}) do
    local is_part = index == 1 and PARTS_OF_REQUEST[step]
    if not is_part and (type(step) == "string" or math.type(step)) then
      place[#place + 1] = tostring(step)
    end
  end
  return place[1] and table.concat(place, ".") .. ": " .. said or said
end

-- What one member says: a text, the message of a nested object, or a list of faults; or nil.
local function said_by(value)
  if type(value) == "table" and type(value.message) == "string" then value = value.message end
  if type(value) == "string" then return trimmed(value) end
  if type(value) ~= "table" then return nil end
  local faults = {}
  for index = 1, math.min(#value, MOST_SAID) do
    faults[#faults + 1] = fault_text(value[index])
  end
  return faults[1] and table.concat(faults, "; ") or nil
end

-- The texts of `members` in `body`, without `known` and what an earlier one holds already; or nil.
local function joined(body, members, known)
  local all
  for _, name in ipairs(members) do
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
  if type(body) ~= "table" then return nil end
  return joined(body, EXPLAINING, known)
end

--- The reason of a failed run in its `result`: the problem document's "title: detail", else what
--- `error`, `message` or `reason` say; nil when the result says nothing. Remote, of any length.
function failures.reason_of(result)
  if type(result) ~= "table" then return nil end
  for _, members in ipairs { { "title", "detail" }, { "error" }, { "message" }, { "reason" } } do
    local said = joined(result, members)
    if said then return said end
  end
end

-- The fields that every error of a `call` has (an Attempts), and those of its `response`, if there
-- is one. `secret`: see redact.lua.
local function fields_of(call, kind, message, secret, response)
  local fields = {
    kind = kind,
    message = redact.without(call.request.name .. ": " .. message, secret),
    method = call.request.method,
    url = redact.url(call.url, secret),
    attempts = call.count,
  }
  if response then
    local headers = response.headers
    fields.sent, fields.status_code, fields.headers = true, response.status_code, headers
    fields.request_id = headers["x-request-id"]
      or headers["request-id"]
      or headers["x-correlation-id"]
  end
  return fields
end

--- The error of a call whose response is outside 2xx. `body_text` is what came of its body; `why`
--- says, for a redirect, why it was not followed; `retry_after` is in seconds.
function failures.status(call, body_text, retry_after, why)
  local response, secret = call.response, redact.of(call)
  local status_code = response.status_code
  local reason = REASONS[status_code]
  local body = body_of(body_text)
  local message = status_code .. (reason and " " .. reason or "")
  local said = failures.explanation(body, reason)
  if said then message = message .. ": " .. redact.remote(said, secret) end
  if why then message = message .. ": not followed, " .. why end
  local remedy
  if status_code == 401 then
    local is_token_sent = call.token and call.sent.request.authorize
    remedy = is_token_sent and TOKEN_REFUSED or call.request.remedy or TOKEN_NOT_SENT
  elseif status_code == 404 and not said then
    remedy = NOT_FOUND
  end
  if remedy then message = message .. "; " .. remedy end
  if retry_after and retry_after >= 1 then
    message = ("%s; the gateway asks to wait %.0f s"):format(message, retry_after)
    if retry_after > retry.LONGEST_WAIT then
      message = message .. ", which is too long to be waited for here"
    end
  end
  local fields = fields_of(call, "api", message, secret, response)
  fields.body, fields.retry_after = body, retry_after
  return errors.new(fields)
end

--- The error of a call whose 2xx response is not what it must be. `line` and `column`: where JSON
--- broke, if so.
function failures.decode(call, message, line, column)
  local response, secret = call.response, redact.of(call)
  local kind = response.headers["content-type"]
  if kind and not kind:lower():find("json", 1, true) then
    kind = redact.remote(kind, secret, 60)
    local hint = "(is base_url or token_endpoint wrong, or did a proxy respond?)"
    message = ("%s; the response is %s %s"):format(message, kind, hint)
  end
  local fields = fields_of(call, "decode", message, secret, response)
  fields.body = response.body ~= "" and response.body or nil
  fields.line, fields.column = line, column
  return errors.new(fields)
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
  if failure.not_attempted then failure.sent = failure.kind ~= "token" and call.count > 0 end
  local secret = redact.of(call)
  local kind, cause = failure.kind, failure.cause -- a cause: the 401 before a token failed
  local message = redact.remote(failure.message, secret, 1000)
  local by_way_of = failure.sent == false
    and not failure.lasting
    and (kind == "network" or kind == "timeout")
    and proxy.mentioned(call.session.proxy, call.url)
  if by_way_of then message = message .. " (" .. by_way_of .. ")" end
  local remedy = remedy_for(call, failure)
  if remedy then message = message .. "; " .. remedy end
  if kind == "too_large" then kind = "decode" end
  local fields = fields_of(call, kind, message, secret, response)
  fields.phase, fields.cause = failure.phase, cause
  if cause then fields.status_code = cause.status_code end
  if not response then
    fields.sent = failure.sent
  elseif kind == "decode" then
    fields.body = response.body or nil
  end
  return errors.new(fields)
end

return failures
