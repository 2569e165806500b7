-- Requests: what all calls of one operation have in common. A call adds its URL and body.
--
-- Immutable: `with` and `redirected` make another one. The header lines and the engine's prepared
-- request are kept with the request for as long as the token stays the same, so that a call with an
-- unchanged token builds nothing. Knows no transport and no operation.
--
--   name              of the call, for messages
--   method
--   fields            headers without the session's token: lower-case names; false removes
--   authorize         true when the session's token is sent as Authorization
--   timeout, connect_timeout    seconds
--   total_timeout     seconds for the whole call, or false
--   max_retries
--   repeatable        false for a request that must not be sent twice: it could start a second run
--   once              true when libcurl, too, must not send it twice
--   stream            bytes of the largest chunk, or false: the body is kept whole
--   max_bytes         cap of a whole body
--   compressed        true when a compressed body is welcome
--   decode            function(owner, response, id) -> value, or nil, message, line, column; false
--                     when the response itself is wanted
--   accept_truncated  function(response) -> true when a 2xx response counts although its body broke
--                     off; or false
--   also_ok_status    one status other than 2xx that is not a failure, or false
--   on_response       function or false
--   secrets           what the body holds of them, a list or false: never to be seen in any text

local headers = require "qhub.http.headers"

local Request = {}
Request.__index = Request

local DEFAULTS = {
  total_timeout = false,
  once = false,
  stream = false,
  decode = false,
  accept_truncated = false,
  also_ok_status = false,
  on_response = false,
  secrets = false,
}

-- What the header lines depend on, and what the engine's prepared request depends on in addition.
local IN_LINES = { "method", "fields", "authorize" }
local IN_PREPARED =
  { "timeout", "connect_timeout", "stream", "once", "compressed", "max_bytes", "method" }

--- A request with the fields above.
local function new(fields)
  for name, value in pairs(DEFAULTS) do
    if fields[name] == nil then fields[name] = value end
  end
  fields.wire, fields.engine = {}, {}
  fields.heir = { __index = fields }
  return setmetatable(fields, Request)
end

local function changes_any(changes, names)
  for _, name in ipairs(names) do
    if changes[name] ~= nil then return true end
  end
  return false
end

--- The same request but for `changes` (taken over, not copied).
function Request:with(changes)
  if changes_any(changes, IN_LINES) then
    changes.wire, changes.engine = {}, {}
  elseif changes_any(changes, IN_PREPARED) then
    changes.engine = {}
  end
  changes.heir = { __index = changes }
  return setmetatable(changes, self.heir)
end

--- The request that `following` (see redirect.lua) makes of this one.
function Request:redirected(following)
  local fields = headers.merged(following.headers)
  local authorize = self.authorize and fields.authorization ~= nil
  if authorize then fields.authorization = nil end
  return self:with { method = following.method, fields = fields, authorize = authorize }
end

--- What is sent with `token`: { token, headers, lines }. Unchanged until another token is given.
function Request:prepared(token)
  local wire = self.wire
  local current = wire.current
  if not current or current.token ~= token then
    local fields = headers.merged(self.fields)
    if self.authorize and token then fields.authorization = "Bearer " .. token end
    current = { token = token, headers = fields, lines = headers.lines(fields) }
    wire.current = current
  end
  return current
end

return { new = new }
