-- Turns what went wrong on the wire into error objects.
--
-- The only place that words such errors: what happened, where, and what to do about it. Remote
-- text is shortened, and the token is taken out wherever a gateway may have echoed it.

local core = require "qhub.core"
local errors = require "qhub.error"
local show = require "qhub.text"

local problem = {}

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
function problem.body(text)
  if not text or text == "" then
    return nil
  end
  local value = core.json.document(text, true)
  if value == nil then
    return text
  end
  return value
end

local EXPLAINING = { "message", "error", "title", "description", "detail", "error_description" }

--- What the gateway says in a decoded body, in the members that gateways and frameworks use for it;
--- nil when it says nothing but `known`. Remote text, of any length.
function problem.explanation(body, known)
  if type(body) ~= "table" then
    return nil
  end
  local parts, seen = {}, { [known or ""] = true }
  for _, name in ipairs(EXPLAINING) do
    local value = body[name]
    if type(value) == "table" and type(value.message) == "string" then
      value = value.message
    end
    if type(value) == "string" and value ~= "" and not seen[value] then
      seen[value] = true
      parts[#parts + 1] = value
    end
  end
  return parts[1] and table.concat(parts, ": ") or nil
end

local function request_id(headers)
  return headers["x-request-id"] or headers["request-id"] or headers["x-correlation-id"]
end

-- The fields that every error of a call has. `context`: name, method, url, attempts, secret,
-- is_token_sent.
local function fields_of(context, kind, message)
  return {
    kind = kind,
    message = show.without(context.name .. ": " .. message, context.secret),
    method = context.method,
    url = show.url(show.without(context.url, context.secret)),
    attempts = context.attempts,
  }
end

local function answered(context, kind, message, response)
  local fields = fields_of(context, kind, message)
  fields.status_code = response.status_code
  fields.headers = response.headers
  fields.request_id = request_id(response.headers)
  fields.sent = true
  return fields
end

--- An answer outside 2xx. `body_text` is what came of its body; `why` tells, for a redirect, why it
--- was not followed; `retry_after` is in seconds.
function problem.status(context, response, body_text, retry_after, why)
  local status_code = response.status_code
  local body = problem.body(body_text)
  local message = tostring(status_code)
  if REASONS[status_code] then
    message = message .. " " .. REASONS[status_code]
  end
  local said = problem.explanation(body, REASONS[status_code])
  if said then
    -- Without the token before it is cut, or a part of the token could be left.
    message = message .. ": " .. show.remote(said, context.secret)
  end
  if why then
    message = message .. ": not followed, " .. why
  end
  local remedy = not said and REMEDIES[status_code]
  if status_code == 401 then
    remedy = context.is_token_sent and TOKEN_REFUSED or TOKEN_NOT_SENT
  end
  if remedy then
    message = message .. "; " .. remedy
  end
  local fields = answered(context, "api", message, response)
  fields.body = body
  fields.retry_after = retry_after
  return errors.new(fields)
end

--- A 2xx answer that is not what it must be. `line` and `column` tell where JSON broke, if it did.
function problem.decode(context, response, body_text, message, line, column)
  local kind = response.headers["content-type"]
  if kind and not kind:lower():find("json", 1, true) then
    message = message
      .. "; the answer is "
      .. show.remote(kind, context.secret, 60)
      .. " (is base_url that of the service, or did a proxy answer?)"
  end
  local fields = answered(context, "decode", message, response)
  fields.body = body_text ~= "" and body_text or nil
  fields.line, fields.column = line, column
  return errors.new(fields)
end

-- Whether a certificate is out of date or for another name, by the TLS library's own words for it:
-- no authority could help.
local function is_wrong_certificate(message)
  for _, words in ipairs { "expired", "not yet valid", "name" } do
    if message:find(words, 1, true) then
      return true
    end
  end
  return false
end

local function remedy(context, failure)
  if failure.code == UNTRUSTED and not is_wrong_certificate(failure.message) then
    return "the server's certificate is not trusted; name its authority with http.ca_file"
  elseif failure.code == BAD_CA_FILE then
    return "check http.ca_file and http.ca_path"
  elseif failure.code == BAD_CLIENT_FILE then
    return "check http.client_cert and http.client_key"
  elseif failure.sent and context.unrepeatable then
    return "the request was under way and may have started a run; look at the list of executions "
      .. "before starting again"
  end
end

--- A call without an answer, or with one that broke off.
function problem.failure(context, failure, response)
  local message = show.remote(failure.message, context.secret, 400)
  local hint = remedy(context, failure)
  if hint then
    message = message .. "; " .. hint
  end
  local kind = failure.kind
  if kind == "too_large" then
    kind = "decode"
  end
  local fields = fields_of(context, kind, message)
  fields.phase = failure.phase
  fields.sent = failure.sent
  fields.cause = failure.cause
  if response then
    fields.status_code = response.status_code
    fields.headers = response.headers
    fields.request_id = request_id(response.headers)
    fields.body = kind == "decode" and response.body or nil
    fields.sent = true
  end
  return errors.new(fields)
end

--- A token function that gave no usable token. `reason` never holds one.
function problem.token(context, reason, cause)
  local clean = show.remote(reason, context.secret, 1000)
  local fields = fields_of(context, "token", clean)
  fields.cause = cause
  fields.sent = false
  if cause then
    fields.status_code = cause.status_code
  end
  return errors.new(fields)
end

return problem
