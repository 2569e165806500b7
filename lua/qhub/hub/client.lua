-- The client: makes a plan of an operation's row and the program's arguments, has it carried out
-- (call.lua), and hands back what the answer means. Building a client does no I/O.

local budget = require "qhub.http.budget"
local call = require "qhub.http.attempts"
local client_options = require "qhub.options.client"
local core = require "qhub.core"
local executions = require "qhub.execution"
local file = require "qhub.files.file"
local headers = require "qhub.http.headers"
local json = require "qhub.json"
local log = require "qhub.http.log"
local loop = require "qhub.tasks.loop"
local usage_error = require("qhub.error").usage
local operations = require "qhub.hub.operations"
local options = require "qhub.options"
local run = require "qhub.polling.run"
local proxy = require "qhub.http.proxy"
local redact = require "qhub.http.redact"
local show = require "qhub.text"
local start_options = require "qhub.options.start"
local transport = require "qhub.http.transport"
local sessions = require "qhub.http.session"
local version = require "qhub.version"
local wait_all = require "qhub.polling.wait_all"

local checked, text = options.checked, core.text
local WHERE, CONCRETE_URL = client_options.WHERE, client_options.CONCRETE_URL

local USER_AGENT = "qhub-lua/" .. version

local LONGEST_CONNECT = 15 -- seconds, unless http.connect_timeout says otherwise

local PARENT_HEADER, PARENT_VARIABLE = "x-parent-execution-token", "KQH_SERVICE_EXECUTION_TOKEN"

local Client = { __name = "qhub.HubServiceClient" }

-- ── from arguments to a plan ────────────────────────────────────────────────────────────────────

local function check_segment(value, name, where)
  if type(value) ~= "string" or value == "" then
    usage_error("%s: %s must be a string that is not empty, got %s", where, name, show.value(value))
  elseif value == "." or value == ".." then
    usage_error(
      "%s: %s must not be %s, which would name another address",
      where,
      name,
      show.value(value)
    )
  end
  return text.encode_segment(value) -- whatever bytes it has: a file's name may have any
end

-- The body as text, and the secrets in it.
local function encoded_body(body, request, where)
  if type(body) ~= "table" then
    usage_error(
      "%s: the body must be a table that encodes to a JSON object, got %s",
      where,
      show.value(body)
    )
  end
  body = start_options.body(body, request, where)
  local encoded = json.encode(body)
  if encoded:byte() ~= 123 then -- "{"
    usage_error("%s: the body must encode to a JSON object, not to an array", where)
  end
  return encoded, start_options.secrets_in(body)
end

-- What all plans of one operation have in common, as the metatable that a plan inherits it by. Made
-- once for each client and operation, and anew for a request with `extra` headers.
local function prototype_of(client, row, extra)
  local known = client.prototypes[row]
  if known and not extra then
    return known
  end
  local session = client.session
  local has_body = row.parameters[1] == "body"
  local defaults = {
    ["user-agent"] = USER_AGENT,
    accept = row.stream and "*/*" or "application/json, */*;q=0.5",
    ["content-type"] = has_body and "application/json" or nil,
  }
  local fields = headers.merged(headers.merged(defaults, session.headers), extra)
  -- The token wins over the client's headers, the request's own headers win over both.
  local authorize = not (extra and extra.authorization ~= nil)
  if authorize then
    fields.authorization = nil
  end
  local prototype = {
    __index = {
      name = row.name,
      method = row.method,
      fields = fields,
      wire = {},
      authorize = authorize,
      hops = 0,
      timeout = session.timeout,
      connect_timeout = session.connect_timeout or math.min(session.timeout, LONGEST_CONNECT),
      max_retries = session.max_retries,
      repeatable = row.repeatable,
      once = not row.repeatable,
      suffices = row.suffices,
      stream = row.stream and file.DEFAULT_CHUNK_SIZE or false,
      max_bytes = session.max_response_bytes,
      decode = not row.stream,
      answer = row.answer or false,
      on_response = session.on_response,
      -- Fields that a plan may lack: found here, so that looking for them goes no further.
      body = false,
      deadline = false,
      accepts = false,
      resumes = false,
    },
  }
  if not extra then
    client.prototypes[row] = prototype
  end
  return prototype
end

local NONE = {} -- stands for an options table that was not given; never written to

local function check_client(client, where)
  if getmetatable(client) ~= Client then
    usage_error("%s: call it with a colon, on a client: service:%s(…)", where, where)
  end
end

local function check_open(client, where)
  check_client(client, where)
  if client.session.is_closed then
    usage_error("%s: the client is closed", where)
  end
end

--- The plan (see call.lua) of one operation with checked options. `first` and `second` are the
--- arguments that the row's `parameters` name.
local function plan_of(client, row, first, second, given)
  local name = row.name
  check_open(client, name)
  local request = given == nil and NONE or checked(given, row.options, name)
  local path, body = row.path, nil
  local parameters = row.parameters
  if parameters[1] == "body" then
    local secrets
    body, secrets = encoded_body(first, request, name)
    client.session:remember(secrets)
  elseif parameters[1] then
    local id = check_segment(first, parameters[1], name)
    local segment = parameters[2] and check_segment(second, parameters[2], name)
    path = row.id_path_before .. id .. row.id_path_after .. (segment or "")
  end
  local url = client.session.base_url .. path
  if request.query and request.query ~= "" then
    url = url .. "?" .. request.query
  end
  -- Room for call.lua's fields, too.
  local own = { url = url, body = body, argument = first, headers = nil, header_lines = nil }
  local plan = setmetatable(own, prototype_of(client, row, request.headers))
  local total_timeout = request.total_timeout or client.session.total_timeout
  if total_timeout then
    plan.deadline = loop.now() + total_timeout
  end
  if request ~= NONE then
    plan.timeout = request.timeout
    if request.timeout and not client.session.connect_timeout then
      plan.connect_timeout = math.min(request.timeout, LONGEST_CONNECT)
    end
    plan.max_retries = request.max_retries
    plan.on_response = request.on_response
    plan.stream = request.chunk_size
    if request.idempotent then
      plan.repeatable, plan.once = true, false
    end
  end
  return plan
end

local function perform(client, row, first, second, given)
  local plan = plan_of(client, row, first, second, given)
  if row.stream then
    return file.open(client.session, plan, second)
  end
  return call.exchange(client.session, plan)
end

-- ── methods ─────────────────────────────────────────────────────────────────────────────────────

local methods = {}

-- The list of executions as `wait_all` asks for it.
local PLAIN_LIST = {}
for name, value in pairs(operations.get_service_executions) do
  PLAIN_LIST[name] = value
end
PLAIN_LIST.answer = PLAIN_LIST.plain_answer

-- A method takes the parameters of its row and then the options, so that the options of an
-- operation without parameters are its first argument.
for name, row in pairs(operations) do
  local count = #row.parameters
  if count == 0 then
    methods[name] = function(self, given)
      return perform(self, row, nil, nil, given)
    end
  elseif count == 1 then
    methods[name] = function(self, first, given)
      return perform(self, row, first, nil, given)
    end
  else
    methods[name] = function(self, first, second, given)
      return perform(self, row, first, second, given)
    end
  end
end

--- An execution known only by its id; nothing is sent.
function methods:execution(id)
  check_open(self, "execution")
  check_segment(id, "id", "execution")
  return executions.new({ id = id }, self)
end

--- Starts a run, waits for its end and returns its result; see run.lua.
function methods:run(body, given)
  check_open(self, "run")
  return run.run(self, body, given)
end

--- Waits until all of `executions` are terminal and returns that list; see wait_all.lua.
function methods:wait_all(executions, given)
  check_open(self, "wait_all")
  return wait_all.wait_all(self, executions, given)
end

--- Frees the connections; calls and files under way end with an error of kind "cancelled".
function methods:close()
  check_client(self, "close")
  if self.session then -- a client may be collected before it has one
    self.session:close()
  end
  return true
end

Client.__index = methods

function Client:__tostring()
  return Client.__name
    .. " "
    .. redact.url(self.session.base_url)
    .. (self.session.is_closed and " (closed)" or "")
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
    usage_error("%s: a table of options is needed, got %s", WHERE, show.value(given))
  end
  local o = checked(given, client_options.checkers, WHERE)
  if o.token == nil then
    usage_error(
      "%s: please provide 'token' when building the client: a string, or a function that "
        .. "returns one (os.getenv gives nil for a variable that is not set)",
      WHERE
    )
  end
  if o.base_url == nil and o.environment == nil then
    usage_error(
      "%s: please provide 'base_url', the URL of your service, like %s",
      WHERE,
      CONCRETE_URL
    )
  end
  o.headers = with_parent(o.headers or {}, o.parent_execution_token)
  local base_url = o.base_url or client_options.check_url(o.environment, "environment", WHERE)
  local client = setmetatable({ prototypes = {}, session = false }, Client)
  client.service_api = client -- code written after the reference documentation works unchanged
  local connections = not o.transport and transport.session(o.http or {})
  client.session = sessions.new(o, {
    connections = connections,
    send = connections
        and proxy.guarded(transport.over_engine(connections), o.http or {}, base_url)
      or transport.over_function(o.transport),
    log = log.new(o.logging, WHERE .. ".logging"),
    pacer = budget.new(o.max_retries or 2),
    base_url = base_url,
    owner = client,
  })
  client.session:remember(proxy.secrets(o.http and o.http.proxy))
  function client.session.plain_list(request)
    return perform(client, PLAIN_LIST, nil, nil, request)
  end
  return client
end

return { new = new, methods = methods, plan = plan_of }
