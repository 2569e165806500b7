-- Requests: what all calls of one operation have in common. A call adds its URL and body.
--
-- Immutable: `with` makes another one. What is sent with a token is kept with the request for as
-- long as the token stays the same, so that a call with an unchanged token builds nothing. Knows no
-- transport and no operation.
--
--   name              of the call, for messages
--   method
--   fields            headers without the session's token: lower-case names; false removes
--   authorize         true when the session's token is sent as Authorization
--   remedy            what to do about a 401 when the session's token is not sent, or nil
--   timeout, connect_timeout    seconds
--   total_timeout     seconds for the whole call, or false
--   max_retries
--   repeatable        false for a request that must not be sent twice: it could start a second run
--   once              true when libcurl, too, must not send it twice
--   stream            bytes of the largest chunk, or false: the body is kept whole
--   max_bytes         cap of a whole body
--   compressed        true when a compressed body is welcome
--   decode            function(owner, response, id) -> value, or nil, message, line, column; not
--                     needed when the response itself is wanted
--   accept_truncated  function(response) -> true when a 2xx response counts although its body broke
--                     off; or nil
--   also_ok_status    one status other than 2xx that is not a failure, or nil
--   on_response       function or false
--   secrets           what the body holds of them, a list or nil: never to be seen in any text

local headers = require "qhub.http.headers"

local LONGEST_CONNECT = 15 -- seconds, unless http.connect_timeout says otherwise

local Request = {}
Request.__index = Request

--- A request with the fields above (taken over, not copied). Limits that are not given are those of
--- `session`.
local function new(session, fields)
  fields.timeout = fields.timeout or session.timeout
  fields.connect_timeout = session.connect_timeout or math.min(fields.timeout, LONGEST_CONNECT)
  fields.total_timeout = fields.total_timeout or session.total_timeout
  fields.max_retries = fields.max_retries or session.max_retries
  fields.max_bytes = session.max_response_bytes
  fields.kept = {}
  return setmetatable(fields, Request)
end

--- The same request but for `changes` (taken over, not copied). `is_sent_alike`: they change
--- nothing that is sent, so that both keep one and the same.
function Request:with(changes, is_sent_alike)
  if not is_sent_alike then changes.kept = {} end
  return setmetatable(changes, { __index = self })
end

--- What is sent with `token`: { token, headers }; the transport keeps its own form with it.
--- Unchanged until another token is given.
function Request:prepared(token)
  local kept = self.kept
  if not kept.headers or kept.token ~= token then
    local fields = headers.merged(self.fields)
    if self.authorize and token then fields.authorization = "Bearer " .. token end
    kept.token, kept.headers, kept.form = token, fields, nil
  end
  return kept
end

return { new = new }
