-- Command line and settings of the simulator.
--
-- Responsible for: what can be chosen, the defaults, and --help. It must not start anything.

local options = {}

local HELP = [[
A simulator of the service gateway on 127.0.0.1.

usage: lua5.4 examples/gateway/main.lua [options]

  --port N             port to listen on; 0, the default, takes a free one
  --seed N             makes ids, files and random faults repeat (default 1)
  --idle SECONDS       ends when nothing happens for so long (default 60; 0: never)
  --exports            prints two lines for a shell, `export NAME=VALUE`, in place of the READY line
  --stdin              ends when standard input, a pipe, is closed
  --token TEXT         the fixed bearer token (default demo-token)
  --base-path PATH     default /acme/vqe/v1
  --public-url URL     base URL used in links and Location, when something stands in front
  --record N           how many requests are remembered for GET /_control/requests (default 20000)
  --set NAME=VALUE     a setting of the list below
  --tls                TLS with a certificate made at the start; control then also goes over plain
                       HTTP on a second port
  --expired            ... that has expired
  --host NAME          ... for another name than localhost and 127.0.0.1
  --client-cert        ... and asks clients for a certificate, made at the start as well
  --help               this text

Behaves as a proxy too: absolute request targets are taken for its own, CONNECT leads to any port
of this machine.

Prints one line when it can be used:
  READY <port> <base_url> [ca=<file>] [cert=<file> key=<file>] control=<url>

Settings (--set, POST /_control/settings, and those marked * also as "shape" of one run):
  pending_ms, running_ms, result_delay_ms     schedule of runs (1000, 3000, 0)
  outcome              SUCCEEDED, FAILED or CANCELLED
  problem              true: the result of a failed run is a problem document (RFC 7807)
  errors               "wso2" or "fastapi": whose words errors have; "fastapi" answers 422 to a
                       body that is not taken
  required             names, separated by commas, of the members that a request body must have
  latency_ms           added to every answer
  token, access_key_id, secret_access_key, expires_in
                       (demo-token, demo-key, demo-secret, 3600 seconds)
  file_size *          bytes of result.bin (1048576)
  checksum_limit       files up to this size carry X-Checksum-Sha256 (1048576)
  snake_case *, iso_dates *, nulls *, extra *, bare *      true or false: form of executions
  status_value *       a status in place of every other
  start *              "location": no body, only Location; start_status * (201)
  logs *               "strings", "blank", "null", "204" or "404"
  links *              "array", "missing" or "null"; embedded * "missing"
  result *             any JSON in place of the result
  cancel_status *      204; 200 answers the execution
  health               true: GET / answers the health check of old gateways
  list_status, list_limit, list_unordered      oddities of the list

A request body may steer its run:
  {"simulate": {"id", "pending_ms", "running_ms", "outcome", "result_delay_ms", "logs": n,
                "files": {name: size | "content" | true | {"size","content","type","chunked",
                          "etag": false, "weak": true, "last_modified": false}},
                "result": {output members} or a value, which goes to output.txt,
                "problem": true | {members of the problem document},
                "echo": true, "shape": {settings}}}
"echo" puts the request body, byte for byte, into the result's member "echo"; secrets are left out.
"$tags" are the tags of the run; of "$secrets" only the names are kept, and those, like the header
X-Parent-Execution-Token, are shown by GET /_control/executions alone.
Faults are added over HTTP: see GET /_control/help.
]]

local settings = {
  pending_ms = 1000,
  running_ms = 3000,
  result_delay_ms = 0,
  outcome = "SUCCEEDED",
  problem = false,
  errors = false,
  required = false,
  latency_ms = 0,
  token = "demo-token",
  access_key_id = "demo-key",
  secret_access_key = "demo-secret",
  expires_in = 3600,
  file_size = 1048576,
  checksum_limit = 1048576,
  snake_case = false,
  iso_dates = false,
  nulls = false,
  extra = false,
  bare = false,
  status_value = false,
  start = false,
  start_status = 201,
  logs = false,
  links = false,
  embedded = false,
  cancel_status = 204,
  health = false,
  list_status = 200,
  list_limit = false,
  list_unordered = false,
  result = false,
}

local function fail(message)
  io.stderr:write("gateway: ", message, " (see --help)\n")
  os.exit(2)
end

local flags = { tls = true, expired = true, stdin = true, client_cert = true, exports = true }

local function set(values, text)
  local name, value = (text or ""):match("^([%w_]+)=(.*)$")
  if not name or settings[name] == nil then fail("unknown setting: " .. tostring(text)) end
  if value == "true" or value == "false" then value = value == "true" end
  values[name] = type(value) == "string" and tonumber(value) or value
end

-- The options of a command line, checked, with `settings` filled in.
function options.parse(words)
  local chosen = { port = 0, seed = 1, idle = 60, record = 20000, base_path = "/acme/vqe/v1" }
  chosen.settings = settings
  local numbers = { port = true, seed = true, idle = true, record = true }
  local texts = { token = true, base_path = true, public_url = true, host = true, set = true }
  local index = 1
  while words[index] do
    local name = words[index]:match("^%-%-([%w-]+)$")
    name = name and name:gsub("-", "_")
    local value = words[index + 1]
    if name == "help" then
      io.stdout:write(HELP)
      os.exit(0)
    elseif flags[name] then
      chosen[name] = true
      index = index + 1
    elseif numbers[name] or texts[name] then
      if not value or numbers[name] and not tonumber(value) then
        fail("--" .. name .. " needs a value")
      elseif name == "set" then
        set(settings, value)
      elseif name == "token" then
        settings.token = value
      else
        chosen[name] = numbers[name] and tonumber(value) or value
      end
      index = index + 2
    else
      fail("unknown option " .. words[index])
    end
  end
  chosen.seed = math.tointeger(chosen.seed) or 1
  return chosen
end

return options
