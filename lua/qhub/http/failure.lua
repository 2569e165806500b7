-- Turns what went wrong on the wire into error objects.
--
-- The only place that words such errors: what happened, where, and what to do about it. Remote
-- text is shortened, and the token is taken out wherever a gateway may have echoed it.

local core = require "qhub.core"
local errors = require "qhub.error"
local proxy = require "qhub.http.transport.proxy"
local redact = require "qhub.http.redact"
local retry = require "qhub.http.retry"
local text = require "qhub.error.text"

local failures = {}

local REASONS = {
  [300] = "Multiple Choices",
  [301] = "Moved Permanently",
  [302] = "Found",
  [303] = "See Other",
  [304] = "Not Modified",
  [307] = "Temporary Redirect",
  [308] = "Permanent Redirect",
  [400] = "Bad Request",
  [401] = "Unauthorized",
  [403] = "Forbidden",
  [404] = "Not Found",
  [405] = "Method Not Allowed",
  [408] = "Request Timeout",
  [409] = "Conflict",
  [410] = "Gone",
  [413] = "Content Too Large",
  [415] = "Unsupported Media Type",
  [416] = "Range Not Satisfiable",
  [422] = "Unprocessable Content",
  [429] = "Too Many Requests",
  [500] = "Internal Server Error",
  [501] = "Not Implemented",
  [502] = "Bad Gateway",
  [503] = "Service Unavailable",
  [504] = "Gateway Timeout",
}

-- What to do about a status. That of a 401 depends on whose credentials were refused.
local TOKEN_REFUSED = "the token was not accepted (they do not live long); give the client's "
  .. "`token` a fresh one, or a function that returns one, like qhub.credentials.client_credentials"
local TOKEN_NOT_SENT = "the client's token was not sent: the request has an Authorization of its "
  .. "own, or was redirected to another origin"
local REMEDIES = {
  [404] = "is base_url that of the service, and the id that of one of its executions?",
}

-- libcurl's codes for a certificate that is not trusted, and for files that cannot be read: with
-- authorities, and with the client's own certificate and key.
local UNTRUSTED, BAD_CA_FILE, BAD_CLIENT_FILE = 60, 77, 58

--- JSON value or text of an error body; nil when it is empty.
function failures.body(body)
  if not body or body == "" then return nil end
  local value = core.json.decode(body, true)
  if value == nil then return body end
  return value
end

-- Members in which gateways and frameworks say what went wrong. A problem document (RFC 9457) has
-- title and detail; the gateway's own errors have message and description.
local EXPLAINING = { "title", "detail", "message", "error", "description", "error_description" }

-- "body" and "query" say which part of a request a member belongs to.
local PARTS_OF_REQUEST = { body = true, query = true, path = true, header = true }

local MOST_SAID = 5 -- members of a list of faults that a message shows

local MOST_READ = 20000 -- bytes of one member; more than a message reads of all of them

-- `said` without blanks around it and colons after it, and not much longer than a message reads.
local function trimmed(said)
  local first = said:find "%S"
  if not first then return nil end
  said = said:sub(first, first + MOST_READ - 1)
  local last = #said
  while last > 0 and said:find("^[%s:]", last) do
    last = last - 1
  end
  return last > 0 and said:sub(1, last) or nil
end

-- One fault of a list as FastAPI gives it: { loc = { "body", "values" }, msg = "field required" }.
local function fault_text(fault)
  local said = type(fault) == "table" and fault.msg or fault
  said = type(said) == "string" and trimmed(said)
  if not said then return nil end
  local place = {}
  local loc = type(fault) == "table" and type(fault.loc) == "table" and fault.loc or {}
  for index, step in ipairs(loc) do
    if
      (type(step) == "string" or math.type(step)) and (index > 1 or not PARTS_OF_REQUEST[step])
    then
      place[#place + 1] = tostring(step)
    end
  end
  return place[1] and table.concat(place, ".") .. ": " .. said or said
end

-- What one member says: a text, the message of a nested object, or a list of faults; or nil.
local function said_by(value)
  if type(value) == "string" then
    return trimmed(value)
  elseif type(value) ~= "table" then
    return nil
  elseif type(value.message) == "string" then
    return said_by(value.message)
  end
  local faults = {}
  for index = 1, math.min(#value, MOST_SAID) do
    faults[#faults + 1] = fault_text(value[index])
  end
  return faults[1] and table.concat(faults, "; ") or nil
end

-- The texts of `members` in `body`, without those that another one holds already.
local function joined(body, members, known)
  local parts = {}
  for _, name in ipairs(members) do
    local said = said_by(body[name])
    local is_new = said and said ~= known
    for index = #parts, 1, -1 do
      if is_new and parts[index]:find(said, 1, true) then
        is_new = false
      elseif is_new and said:find(parts[index], 1, true) then
        table.remove(parts, index)
      end
    end
    if is_new then parts[#parts + 1] = said end
  end
  return parts[1] and table.concat(parts, ": ") or nil
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
  local members = {}
  for _, name in ipairs { "title", "detail", "error", "message", "reason" } do
    members[name] = rawget(result, name)
  end
  local document = joined(members, { "title", "detail" })
  if document then return document end
  for _, name in ipairs { "error", "message", "reason" } do
    local said = said_by(members[name])
    if said then return said end
  end
end

-- The fields that every error of a call has, and those of its `response`, if there is one.
-- `context`: name, method, url, attempts, secret, is_token_sent.
local function fields_of(context, kind, message, response)
  local fields = {
    kind = kind,
    message = redact.without(context.name .. ": " .. message, context.secret),
    method = context.method,
    url = redact.url(redact.without(context.url, context.secret)),
    attempts = context.attempts,
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

--- A response outside 2xx. `body_text` is what came of its body; `why` says, for a redirect, why it
--- was not followed; `retry_after` is in seconds.
function failures.status(context, response, body_text, retry_after, why)
  local status_code = response.status_code
  local body = failures.body(body_text)
  local message = tostring(status_code)
  if REASONS[status_code] then message = message .. " " .. REASONS[status_code] end
  local said = failures.explanation(body, REASONS[status_code])
  if said then
    -- Without the token before it is cut, or a part of the token could be left.
    message = message .. ": " .. redact.remote(said, context.secret)
  end
  if why then message = message .. ": not followed, " .. why end
  local remedy = not said and REMEDIES[status_code]
  if status_code == 401 then remedy = context.is_token_sent and TOKEN_REFUSED or TOKEN_NOT_SENT end
  if remedy then message = message .. "; " .. remedy end
  if retry_after and retry_after >= 1 then
    message = ("%s; the gateway asks to wait %.0f s"):format(message, retry_after)
    if retry_after > retry.LONGEST_WAIT then
      message = message .. ", which is too long to be waited for here"
    end
  end
  local fields = fields_of(context, "api", message, response)
  fields.body = body
  fields.retry_after = retry_after
  return errors.new(fields)
end

--- A 2xx response that is not what it must be. `line` and `column` say where JSON broke, if so.
function failures.decode(context, response, body_text, message, line, column)
  local kind = response.headers["content-type"]
  if kind and not kind:lower():find("json", 1, true) then
    message = message
      .. "; the response is "
      .. redact.remote(kind, context.secret, 60)
      .. " (is base_url that of the service, or did a proxy respond?)"
  end
  local fields = fields_of(context, "decode", message, response)
  fields.body = body_text ~= "" and body_text or nil
  fields.line, fields.column = line, column
  return errors.new(fields)
end

-- What to do about failures with these codes of libcurl's.
local FILE_REMEDIES = {
  [BAD_CA_FILE] = "check http.ca_file and http.ca_path",
  [BAD_CLIENT_FILE] = "check http.client_cert and http.client_key",
}

local function remedy(context, failure)
  local code, said = failure.code, failure.message
  if code == UNTRUSTED then
    -- Out of date, or for another name, in the TLS library's own words: no authority could help.
    if said:find "expired" or said:find "not yet valid" or said:find "name" then return nil end
    return "the server's certificate is not trusted; name its authority with http.ca_file"
  elseif failure.sent and context.unrepeatable then
    return "the request was sent and may have started a run; check the list of executions "
      .. "before starting again"
  end
  return FILE_REMEDIES[code]
end

--- A call without a response, or with one that broke off.
function failures.failure(context, failure, response)
  local message = redact.remote(failure.message, context.secret, 400)
  local by_way_of = failure.sent == false
    and not failure.lasting
    and failure.kind ~= "cancelled"
    and context.proxy ~= false
    and proxy.name(context.proxy, context.url)
  if by_way_of then
    message = message .. " (by way of the proxy " .. text.line(by_way_of, 300) .. ")"
  end
  local hint = remedy(context, failure)
  if hint then message = message .. "; " .. hint end
  local kind = failure.kind == "too_large" and "decode" or failure.kind
  local fields = fields_of(context, kind, message, response)
  fields.phase, fields.cause = failure.phase, failure.cause
  if not response then
    fields.sent = failure.sent
  elseif kind == "decode" then
    fields.body = response.body or nil
  end
  return errors.new(fields)
end

--- A token function that gave no usable token. `reason` never holds one.
function failures.token(context, reason, cause)
  local fields = fields_of(context, "token", redact.remote(reason, context.secret, 1000))
  fields.cause, fields.sent = cause, false
  fields.status_code = cause and cause.status_code
  return errors.new(fields)
end

return failures
