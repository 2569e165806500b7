-- The session: everything that a call needs of the client, or token function, it is made for.
--
-- Assumes checked options. Knows no operation and no request. Its fields are read by all modules
-- above and set here only, `is_closed` by `close`:
--
--   send                 the transport (see transport_curl.lua)
--   token                the string, or the program's function; nil when requests carry their own
--   owner                what values made from responses belong to; opaque here
--   base_url             without a slash at its end
--   headers              sent with every request: lower-case names; false removes
--   log                  see log.lua, or false
--   pacer                spaces the retries of all calls (see pacer.lua)
--   proxy                the option; nil: as the environment says; false: none
--   timeout              seconds without progress
--   connect_timeout      seconds
--   total_timeout        seconds for a whole call, or false
--   max_retries          extra attempts for transient failures
--   max_response_bytes   cap of a body in memory
--   follow_redirects     boolean
--   on_response          function or false
--   plain_list           function(options): the list of executions as plain tables; the client sets it
--   is_closed            true from `close` on
--   secrets              what the last calls carried, newest first; a list or false
--   last_token           the token that was remembered last in it

local loop = require "qhub.tasks.loop"

local Session = { __name = "qhub.Session" }
Session.__index = Session

local MOST_REMEMBERED = 64
local DEFAULT_TIMEOUT, DEFAULT_RETRIES, DEFAULT_MAX_BYTES = 60, 2, 64 << 20

--- Remembers `secret` (a string, a list of them, or nil) among the latest of this session.
function Session:remember(secret)
  local latest = self.secrets
  if type(secret) ~= "string" then
    for _, one in ipairs(secret or {}) do
      self:remember(one)
    end
  elseif not latest then
    self.secrets = { secret }
  elseif latest[1] ~= secret then
    for index, known in ipairs(latest) do
      if known == secret then
        table.remove(latest, index)
        break
      end
    end
    table.insert(latest, 1, secret)
    latest[MOST_REMEMBERED + 1] = nil
  end
end

--- Closes the connections and ends the sleeps of its calls. Idempotent.
function Session:close()
  if not self.is_closed then
    self.is_closed = true
    local connections = self.connections
    if connections then
      connections:close()
    end
    loop.wake_sleepers(self)
  end
end

local session = {}

-- No proxy is known of a transport of the program's own.
local function proxy_of(o, fields)
  if not fields.connections then
    return false
  end
  return o.http and o.http.proxy
end

--- A session with the checked options `o` of a client (see options/client.lua) and `fields`: send,
--- connections (what is closed with it, or false), log, pacer, base_url, owner.
function session.new(o, fields)
  local timeout = o.timeout or DEFAULT_TIMEOUT
  return setmetatable({
    send = fields.send,
    connections = fields.connections or false,
    token = o.token or false,
    owner = fields.owner or false,
    base_url = fields.base_url or false,
    headers = o.headers or {},
    log = fields.log or false,
    pacer = fields.pacer,
    timeout = timeout,
    proxy = proxy_of(o, fields),
    connect_timeout = o.http and o.http.connect_timeout or false,
    total_timeout = o.total_timeout or false,
    max_retries = o.max_retries or DEFAULT_RETRIES,
    max_response_bytes = o.max_response_bytes or DEFAULT_MAX_BYTES,
    follow_redirects = o.follow_redirects ~= false,
    on_response = o.on_response or false,
    is_closed = false,
    secrets = false,
    last_token = false,
  }, Session)
end

return session
