-- The gateway simulator as a child process, for specs.
--
-- Responsible for: starting examples/gateway/main.lua, steering it over its control API, and ending
-- it. Assumes that the specs run in the project's root. It must not load anything of qhub.

local process = require "spec.support.process"
local wire = require "spec.support.wire"

local Gateway = {}
Gateway.__index = Gateway

local gateway = {}

local function shell_quote(text)
  return "'" .. tostring(text):gsub("'", "'\\''") .. "'"
end

-- Options of the command line from { "--tls" } or { tls = true, idle = 5, set = { "a=1" } }.
local function words_of(args)
  local words = {}
  for _, word in ipairs(args or {}) do
    words[#words + 1] = shell_quote(word)
  end
  for name, value in pairs(args or {}) do
    if type(name) == "string" then
      for _, one in ipairs(type(value) == "table" and value or { value }) do
        words[#words + 1] = "--" .. name:gsub("_", "-")
        words[#words + 1] = one ~= true and shell_quote(one) or nil
      end
    end
  end
  return table.concat(words, " ")
end

-- Starts a simulator. Returns an object with url (the base URL), origin, port, token, ca_file,
-- client_cert, client_key, control (URL); raises when it does not come up.
function gateway.start(args)
  local child = process.server("examples/gateway/main.lua --stdin --idle 0", words_of(args))
  local port, url = child.words[1], child.words[2]
  local named = {}
  for index = 3, #child.words do
    local name, value = child.words[index]:match "^(%w+)=(.*)$"
    named[name] = value
  end
  return setmetatable({
    child = child,
    url = url,
    origin = url:match("^%a+://[^/]+"),
    port = tonumber(port),
    control = wire.control(tonumber(named.control:match ":(%d+)")),
    ca_file = named.ca,
    client_cert = named.cert,
    client_key = named.key,
    token = args and args.token or "demo-token",
  }, Gateway)
end

-- One control request; returns the decoded response and raises for anything but 200.
function Gateway:call(method, path, body)
  return self.control:call(method, "/_control/" .. path, body)
end

-- Adds a fault rule { match =, times =, skip =, fault = }; see examples/gateway/control.lua.
function Gateway:fault(rule)
  return self:call("POST", "faults", rule).rule
end

-- Back to a fresh gateway: no faults, default settings, no requests remembered, tokens restored.
-- Executions stay.
function Gateway:clear()
  self:call("DELETE", "faults")
  self:call("DELETE", "settings")
  self:call("DELETE", "requests")
  self:call("POST", "tokens", { restore = true, reset = true })
end

-- What was asked: { requests = {...}, total, operations = { get_status = n }, peak, connections }.
function Gateway:requests()
  return self:call("GET", "requests")
end

local function escape(text)
  return (text:gsub("[^%w]", function(byte)
    return string.format("%%%02X", byte:byte())
  end))
end

-- How many requests had this method (nil: any) and a path that matches this Lua pattern.
function Gateway:count(method, pattern)
  local path = "requests?pattern=" .. escape(pattern or "")
  return self:call("GET", path .. (method and "&method=" .. method or "")).count
end

-- Changes settings (see main.lua --help); returns all.
function Gateway:settings(values)
  return self:call("POST", "settings", values)
end

-- Moves the simulator's clock forward: runs get on, logs appear, tokens expire.
function Gateway:advance(seconds)
  self:call("POST", "clock", { advance = seconds })
end

-- Brings an execution (nil: all) to a status at once.
function Gateway:force(id, status)
  self:call("POST", "executions", { id = id, status = status })
end

-- Starts many runs; `body` is the request body of each. Returns the list of ids.
function Gateway:create(count, body)
  return self:call("POST", "executions", { create = count, body = body or {} }).ids
end

-- Forgets all executions.
function Gateway:forget()
  self:call("DELETE", "executions")
end

-- { name, size, sha256, etag } of a file as it is now.
function Gateway:file(id, name)
  return self:call("GET", "file?id=" .. escape(id) .. "&name=" .. escape(name))
end

-- Token endpoint: counts { requests, granted, refused }, and switches
-- { revoke = true|"token", restore = true, expire = true, reset = true }.
function Gateway:tokens(switches)
  return self:call(switches and "POST" or "GET", "tokens", switches)
end

-- Ends the simulator and waits for its end.
function Gateway:stop()
  self.control:close()
  self.child:close()
end

Gateway.__close = Gateway.stop
Gateway.__gc = Gateway.stop

return gateway
