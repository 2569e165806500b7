-- Secrets that a remote says back, in disguise: none shows in a message, a log or a traceback.
--
--   scripts/with_build.sh build lua5.4 scripts/conformance/secrets.lua
--
-- A transport stands for the remote. It answers in every way in which a call fails, with the token,
-- a secret header and a run's secret in the words of its response, changed as proxies, frameworks
-- and attackers change texts. What is shown is compared after decoding and folding it in the ways
-- that a reader could: a disguise that this file does not know fails, too, where its letters
-- remain.

local qhub = require "qhub"

local TOKEN = "tok3nQzJvXwKpLmR" -- letters that no message has in this order
local HEADER = "h3aderYbNcUfGdSe"
local RUN = "runs3cretVtBkHqWz"
local SECRETS = { TOKEN, HEADER, RUN }

-- ── Disguises: how the remote writes a secret ────────────────────────────────────────────────────

local function spread(text, with)
  return (text:gsub(".", "%0" .. with))
end

local function base64(text)
  local alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
  local padding = ({ "", "==", "=" })[#text % 3 + 1]
  local bits = text:gsub(".", function(c)
    local out = ""
    for i = 7, 0, -1 do
      out = out .. (c:byte() >> i & 1)
    end
    return out
  end)
  bits = bits .. ("0"):rep(-#bits % 6)
  local out = bits:gsub("%d%d%d%d%d%d", function(six)
    local at = tonumber(six, 2) + 1
    return alphabet:sub(at, at)
  end)
  return out .. padding
end

local function percent(text)
  return (text:gsub(".", function(c)
    return ("%%%02X"):format(c:byte())
  end))
end

local disguises = {
  {
    "as it is",
    function(s)
      return s
    end,
  },
  { "upper case", string.upper },
  { "lower case", string.lower },
  {
    "mixed case",
    function(s)
      return s:sub(1, 5):upper() .. s:sub(6):lower()
    end,
  },
  { "percent-encoded", percent },
  {
    "percent-encoded in lower case",
    function(s)
      return percent(s):lower()
    end,
  },
  {
    "half percent-encoded",
    function(s)
      return s:sub(1, 6) .. percent(s:sub(7))
    end,
  },
  { "base64", base64 },
  {
    "base64 of Basic",
    function(s)
      return base64("user:" .. s)
    end,
  },
  {
    "base64 of a whole header",
    function(s)
      return base64("Authorization: Bearer " .. s)
    end,
  },
  {
    "base64 within 2 bytes",
    function(s)
      return base64("ab" .. s .. "c")
    end,
  },
  {
    "split by blanks",
    function(s)
      return spread(s, " ")
    end,
  },
  {
    "split by a line break",
    function(s)
      return s:sub(1, 7) .. "\r\n  " .. s:sub(8)
    end,
  },
  {
    "split by a tab",
    function(s)
      return s:sub(1, 7) .. "\t" .. s:sub(8)
    end,
  },
  {
    "zero-width spaces",
    function(s)
      return spread(s, "\u{200B}")
    end,
  },
  {
    "zero-width joiner",
    function(s)
      return s:sub(1, 4) .. "\u{200D}" .. s:sub(5)
    end,
  },
  {
    "soft hyphen",
    function(s)
      return s:sub(1, 4) .. "\u{AD}" .. s:sub(5)
    end,
  },
  {
    "byte order mark",
    function(s)
      return s:sub(1, 9) .. "\u{FEFF}" .. s:sub(10)
    end,
  },
  {
    "a control character",
    function(s)
      return s:sub(1, 9) .. "\x01" .. s:sub(10)
    end,
  },
  {
    "DEL",
    function(s)
      return s:sub(1, 9) .. "\x7f" .. s:sub(10)
    end,
  },
  {
    "right to left",
    function(s)
      return "\u{202E}" .. s:sub(1, 5) .. "\u{202C}" .. s:sub(6)
    end,
  },
  {
    "between letters",
    function(s)
      return "Bearer" .. s .. "expired"
    end,
  },
  {
    "twice",
    function(s)
      return s .. s
    end,
  },
  {
    "at a cut",
    function(s)
      return ("x"):rep(180) .. s .. s .. s .. s .. ("x"):rep(400)
    end,
  },
} -- stylua: ignore

-- ── What must not show ──────────────────────────────────────────────────────────────────────────

-- Letters and digits only, in lower case.
local function folded(text)
  return (text:gsub("[^%w]", ""):lower())
end

local function needles(secret)
  local list = { folded(secret) }
  for lead = 0, 2 do -- base64 at any offset: without the letters that depend on the neighbours
    local code = base64(("a"):rep(lead) .. secret):gsub("=", "")
    list[#list + 1] = folded(code:sub(lead == 0 and 1 or 5, -5))
  end
  return list
end

local function shows(text)
  local plain = text:gsub("%%(%x%x)", function(code)
    return string.char(tonumber(code, 16))
  end)
  for _, form in ipairs { folded(text), folded(plain) } do
    for _, secret in ipairs(SECRETS) do
      for _, needle in ipairs(needles(secret)) do
        if form:find(needle, 1, true) then return true end
      end
    end
  end
  return false
end
assert(shows("a " .. percent(TOKEN)) and shows(base64("xy:" .. HEADER)) and not shows "nothing")

-- ── Failures: how the remote says it; each is given the text that tells the secrets ──────────────

local json = { ["content-type"] = "application/json" }
local answers = {
  problem = function(s)
    return { status_code = 422, headers = json, body = qhub.json.encode { title = s, detail = s } }
  end,
  message = function(s)
    return { status_code = 401, headers = json, body = qhub.json.encode { message = s } }
  end,
  gateway = function(s)
    local body = { code = s, message = s, description = s }
    return { status_code = 403, headers = json, body = qhub.json.encode(body) }
  end,
  validation = function(s)
    local body = { detail = qhub.json.array { { loc = qhub.json.array { "body", s }, msg = s } } }
    return { status_code = 422, headers = json, body = qhub.json.encode(body) }
  end,
  text = function(s)
    return { status_code = 500, headers = { ["content-type"] = "text/plain" }, body = s }
  end,
  html = function(s)
    local page = "<html><title>" .. s .. "</title><h1>" .. s .. "</h1></html>"
    return { status_code = 502, headers = { ["content-type"] = "text/html" }, body = page }
  end,
  ["200 of HTML"] = function(s)
    return {
      status_code = 200,
      headers = { ["content-type"] = s:gsub("%c", "") },
      body = "<p>" .. s,
    }
  end,
  ["broken JSON"] = function(s)
    return { status_code = 200, headers = json, body = '{"id":"' .. s .. '" x' }
  end,
  location = function(s)
    local where = "https://other.example/" .. s:gsub("%c", "")
    return { status_code = 307, headers = { location = where }, body = s }
  end,
  ["location that is none"] = function(s)
    return { status_code = 302, headers = { location = "ftp://" .. s:gsub("%c", "") }, body = "" }
  end,
  headers = function(s)
    local line = s:gsub("%c", "")
    local headers = { ["www-authenticate"] = line, ["x-request-id"] = line, ["retry-after"] = line }
    return { status_code = 429, headers = headers, body = "" }
  end,
  ["another's id"] = function(s)
    -- Id and status of a run are shown as they are, so these are good ones.
    local body = { id = "e2", status = "RUNNING", createdAt = s }
    return { status_code = 200, headers = json, body = qhub.json.encode(body) }
  end,
  ["the stack's message"] = function(s)
    return nil, "cannot connect: " .. s
  end,
  ["a message that is raised by reading"] = function(s)
    return {
      status_code = 200,
      headers = json,
      body = function()
        return nil, s
      end,
    } -- stylua: ignore
  end,
}

local calls = {
  start = function(c)
    return c:start_execution({ x = 1 }, { secrets = { KEY = RUN } })
  end,
  status = function(c)
    return c:get_status "e1"
  end,
  result = function(c)
    return c:get_result "e1"
  end,
  logs = function(c)
    return c:get_logs "e1"
  end,
  list = function(c)
    return c:get_service_executions()
  end,
  cancel = function(c)
    return c:cancel_execution "e1"
  end,
  file = function(c)
    return c:get_result_file("e1", "f.bin")
  end,
  run = function(c)
    local start = { secrets = { KEY = RUN } }
    return c:run({ x = 1 }, { interval = 0.01, timeout = 0.05, start = start })
  end,
} -- stylua: ignore

local checked, failed = 0, 0
local function check(text, where)
  checked = checked + 1
  if shows(text) then
    failed = failed + 1
    if failed <= 20 then print(("FAILED %s: %q"):format(where, text)) end
  end
end

local function run(where, options, call)
  local lines = {}
  options.base_url = "https://gateway.example/a/b/v1"
  options.headers = { ["X-Api-Key"] = HEADER }
  options.max_retries = 0
  options.logging = {
    level = "debug",
    logger = function(level, message, fields)
      lines[#lines + 1] = level .. " " .. message
      for name, value in pairs(fields) do
        lines[#lines + 1] = tostring(name) .. "=" .. tostring(value)
      end
    end,
  }
  local client = qhub.HubServiceClient(options)
  local ok, value, err = pcall(call, client)
  if not ok then
    value, err = nil, value
  end
  if value == nil then
    check(tostring(err), where)
    check(type(err) == "string" and err or err.message, where .. ", message")
    local _, trace = xpcall(error, debug.traceback, "" .. tostring(err))
    check(trace, where .. ", traceback")
    if type(err) ~= "string" and err.cause then check(tostring(err.cause), where .. ", cause") end
  end
  check(table.concat(lines, "\n"), where .. ", log")
  client:close()
end

local paths = 0
for _, entry in ipairs(disguises) do
  local how, disguise = entry[1], entry[2]
  for what, answer in pairs(answers) do
    for name, call in pairs(calls) do
      paths = paths + 1
      local has_run_secret = name == "start" or name == "run"
      local said = disguise(TOKEN) .. "; " .. disguise(HEADER)
      said = said .. (has_run_secret and "; " .. disguise(RUN) or "")
      local where = ("%s, %s, %s"):format(name, what, how)
      run(where, {
        token = TOKEN,
        transport = function()
          return answer(said)
        end,
      }, call)
    end
  end
  -- What the program's own token function says once the client has seen its token.
  paths = paths + 1
  local asked = 0
  run("token function, " .. how, {
    token = function()
      asked = asked + 1
      if asked == 1 then return TOKEN end
      return nil, "vault said " .. disguise(TOKEN)
    end,
    transport = answers.message,
  }, function(client)
    client:get_status "e1"
    return client:get_status "e1"
  end)
end

print(("secrets: %d failures, %d texts searched, %d failed"):format(paths, checked, failed))
os.exit(failed == 0, true)
