-- The client: makes a request of an operation's row and the program's arguments, has it carried out
-- (attempts.lua) and returns what the response means. Building a client does no I/O.
--
-- A client has `session` (see session.lua), which other modules may read, and `requests`, those
-- with the client's options alone: row -> request.

local client_options = require "qhub.options.client"
local core = require "qhub.core"
local executions = require "qhub.execution"
local headers = require "qhub.http.headers"
local usage_error = require("qhub.error").usage
local operations = require "qhub.hub.operations"
local options = require "qhub.options"
local requests = require "qhub.http.request"
local sessions = require "qhub.http.session"
local text = require "qhub.error.text"
local version = require "qhub.http.version"

local checked, refuse = options.checked, options.refuse
local WHERE, USER_AGENT = client_options.WHERE, "qhub-lua/" .. version

local NO_TOKEN = "%s: please provide 'token' when building the client: a string, or a function "
  .. "that returns one (os.getenv gives nil for a variable that is not set)"
local NO_URL = "%s: please provide 'base_url', the URL of your service, like %s"

local PARENT_HEADER, PARENT_VARIABLE = "x-parent-execution-token", "KQH_SERVICE_EXECUTION_TOKEN"

local NONE = {}

local Client = { __name = "qhub.HubServiceClient" }

-- ── arguments ───────────────────────────────────────────────────────────────────────────────────

local function check_segment(value, name, where)
  if type(value) ~= "string" or value == "" then
    refuse(where, name, "a string that is not empty", value)
  elseif value == "." or value == ".." then
    local form = "%s: %s must not be %s, which would name another address"
    usage_error(form, where, name, text.value(value))
  end
  return core.text.encode_segment(value) -- a file's name may have any bytes
end

-- ── from arguments to a request ─────────────────────────────────────────────────────────────────

-- The request of an operation with the client's options and the checked options `o` of a call.
local function new_request(session, row, o)
  local defaults = {
    ["user-agent"] = USER_AGENT,
    accept = row.stream and "*/*" or "application/json, */*;q=0.5",
    ["content-type"] = row.body and "application/json" or nil,
  }
  if row.small then defaults["accept-encoding"] = false end
  local fields = headers.merged(headers.merged(defaults, session.headers), o.headers)
  -- The token wins over the client's headers, the request's own headers win over both.
  local authorize = not (o.headers and o.headers.authorization ~= nil)
  if authorize then fields.authorization = nil end
  local once = row.once and not o.idempotent
  return requests.new(session, {
    name = row.name,
    method = row.method,
    fields = fields,
    authorize = authorize,
    timeout = o.timeout,
    total_timeout = o.total_timeout,
    max_retries = o.max_retries,
    repeatable = not once,
    once = once,
    stream = o.chunk_size or row.stream,
    compressed = not (row.stream or row.small),
    decode = row.decode,
    accept_truncated = row.accept_truncated,
    on_response = session.on_response,
  })
end

-- The request of an operation with the checked options `o` of one call. That with the client's
-- options alone is kept.
local function request_with(client, row, o)
  local is_own = o.headers
    or o.timeout
    or o.total_timeout
    or o.max_retries
    or o.chunk_size
    or o.idempotent
  if is_own then return new_request(client.session, row, o) end
  local request = client.requests[row] or new_request(client.session, row, NONE)
  client.requests[row] = request
  return request
end

local function check_client(client, where)
  if getmetatable(client) ~= Client then
    usage_error("%s: call it with a colon, on a client: service:%s(…)", where, where)
  end
end

local function check_open(client, where)
  check_client(client, where)
  if client.session.is_closed then usage_error("%s: the client is closed", where) end
end

--- The request of one operation with the options `given`, its URL, its body (or nil), and the
--- checked options. `first` and `second` are what stands before them. Raises a usage error.
local function prepared(client, row, first, second, given)
  local name, session = row.name, client.session
  check_open(client, name)
  local o = given ~= nil and checked(given, operations.checkers(row), name) or NONE
  local request, url = request_with(client, row, o), session.base_url
  if o.on_response then request = request:with({ on_response = o.on_response }, true) end
  if row.before_id then
    url = url .. row.before_id .. check_segment(first, "id", name) .. row.after_id
    if row.stream then url = url .. check_segment(second, "file", name) end
  else
    url = url .. row.path
  end
  local body, secrets
  if row.body then
    body, secrets = require("qhub.options.start").encoded(first, o, name)
  end
  if secrets then
    session:remember(secrets)
    request = request:with({ secrets = secrets }, true)
  end
  if o.query and o.query ~= "" then url = url .. "?" .. o.query end
  return request, url, body, o
end

local function perform(client, row, first, second, given)
  local request, url, body = prepared(client, row, first, second, given)
  if row.stream then
    return require("qhub.files.file").open(client.session, request, url, second)
  end
  return client.session:perform(request, url, body, first)
end

-- ── methods ─────────────────────────────────────────────────────────────────────────────────────

local methods = {}

for name, row in pairs(operations.public) do
  local count = row.arguments
  methods[name] = function(self, first, second, third)
    if count == 0 then return perform(self, row, nil, nil, first) end
    if count == 1 then return perform(self, row, first, nil, second) end
    return perform(self, row, first, second, third)
  end
end

--- An execution known only by its id; nothing is sent.
function methods:execution(id)
  check_open(self, "execution")
  check_segment(id, "id", "execution")
  return executions.new({ id = id }, self)
end

-- Calls that are made of several requests; see the modules.
for name, module in pairs { run = "qhub.polling.run", wait_all = "qhub.polling.wait_all" } do
  methods[name] = function(self, ...)
    check_open(self, name)
    return require(module)[name](self, ...)
  end
end

--- Frees the connections; calls and files under way end with an error of kind "cancelled".
function methods:close()
  check_client(self, "close")
  self.session:close()
  return true
end

Client.__index = methods

function Client:__tostring()
  local session = self.session
  local address = require("qhub.http.redact").url(session.base_url)
  return Client.__name .. " " .. address .. (session.is_closed and " (closed)" or "")
end

Client.__close = methods.close
Client.__gc = methods.close

-- The client's headers with the token of the run that this program is a part of: as given, else as
-- the environment has it. A header of the program's own wins over the environment.
local function with_parent(fields, given)
  if given == nil and fields[PARENT_HEADER] == nil then
    local found = core.system.getenv(PARENT_VARIABLE)
    given = found and found ~= "" and options.check.secret(found, PARENT_VARIABLE, WHERE) or nil
  end
  return given and headers.merged(fields, { [PARENT_HEADER] = given }) or fields
end

-- ── the constructor ─────────────────────────────────────────────────────────────────────────────

--- Builds a client from the options of the API reference, section 2. Raises a usage error.
local function new(given)
  if type(given) ~= "table" then
    usage_error("%s: a table of options is needed, got %s", WHERE, type(given))
  end
  local o = checked(given, client_options.checkers, WHERE)
  if o.token == nil then
    usage_error(NO_TOKEN, WHERE)
  elseif o.base_url == nil and o.environment == nil then
    usage_error(NO_URL, WHERE, client_options.CONCRETE_URL)
  end
  o.headers = with_parent(o.headers or {}, o.parent_execution_token)
  local client = { requests = {} }
  client.service_api = client -- code written after the reference documentation works unchanged
  client.session = sessions.new(o, {
    token_source = type(o.token) ~= "string" and require("qhub.auth.token").source_over(o.token),
    log = o.logging and require("qhub.http.log").new(o.logging, WHERE .. ".logging"),
    base_url = o.base_url or client_options.check_url(o.environment, "environment", WHERE),
    owner = client,
  })
  function client.session.plain_list(request) -- for wait_all
    return perform(client, operations.plain_list, nil, nil, request)
  end
  return setmetatable(client, Client) -- not before it has what is closed with it
end

return { new = new, prepared = prepared }
