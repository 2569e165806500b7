-- Faults on demand: which request gets which, and those that change what a response says.
--
-- Responsible for: the list of rules and the faults of meaning (status, headers, body, redirects,
-- encodings, changed files). Faults of bytes (hang, truncate, reset, drip, ...) are left in the
-- answer for reply.lua. Documented for users in control.lua.

local cqueues = require "cqueues"
local gzip = require "gzip"
local json = require "json"

local Faults = {}
Faults.__index = Faults

local function new()
  return setmetatable({ rules = {}, resets = 0 }, Faults)
end

local known = {
  status = true,
  reason = true,
  headers = true,
  body = true,
  perform = true,
  hang = true,
  after = true,
  seconds = true,
  truncate = true,
  reset = true,
  garbage = true,
  drip = true,
  delay_ms = true,
  ignore_range = true,
  change_etag = true,
  content_encoding = true,
  bomb = true,
  redirect = true,
  close_after_request = true,
  close = true,
  drop = true,
  random_break = true,
  chunked = true,
  trailers = true,
  until_close = true,
  interim = true,
  body_bytes = true,
}

local matchers = {
  method = true,
  path = true,
  pattern = true,
  operation = true,
  reused = true,
  range = true,
  id = true,
}

local function check(names, object, what)
  if type(object) ~= "table" then return "no " .. what end
  for name in pairs(object) do
    if not names[name] then return "unknown " .. what .. " " .. tostring(name) end
  end
end

-- Adds a rule { match, times, skip, fault }; returns its number, or nil and what is wrong with it.
function Faults:add(rule)
  rule.match = rule.match or {}
  local wrong = check(known, rule.fault, "fault") or check(matchers, rule.match, "matcher")
  if wrong then return nil, wrong end
  rule.times = rule.times or 1
  rule.skip = rule.skip or 0
  rule.used = 0
  self.rules[#self.rules + 1] = rule
  self.resets = self.resets + (rule.fault.reset and 1 or 0)
  return #self.rules
end

function Faults:clear()
  self.rules, self.resets = {}, 0
end

-- Whether any connection may have to be reset: then requests are read byte by byte.
function Faults:reset_armed()
  return self.resets > 0
end

local function matches(match, request, operation)
  if match.method and match.method ~= request.method then
    return false
  elseif match.path and not request.path:find(match.path, 1, true) then
    return false
  elseif match.pattern and not request.target:find(match.pattern) then
    return false
  elseif match.operation and match.operation ~= operation then
    return false
  elseif match.id and match.id ~= request.id then
    return false
  elseif match.reused ~= nil and match.reused ~= (request.on_connection > 1) then
    return false
  elseif match.range ~= nil and match.range ~= (request.headers.range ~= nil) then
    return false
  end
  return true
end

-- The fault for a request, or nil. Rules are tried in the order they were added; one that still
-- skips, or that is used up (`times` times; -1: never), leaves the request to the next.
function Faults:take(request, operation)
  for _, rule in ipairs(self.rules) do
    if rule.used ~= rule.times and matches(rule.match, request, operation) then
      if rule.skip > 0 then
        rule.skip = rule.skip - 1
      else
        rule.used = rule.used + 1
        if rule.used == rule.times and rule.fault.reset then self.resets = self.resets - 1 end
        return rule.fault
      end
    end
  end
end

-- Done before the operation: waiting, and changing what it will find.
function Faults:before(fault, request, parts)
  if fault.delay_ms then cqueues.sleep(fault.delay_ms / 1000) end
  request.ignore_range = fault.ignore_range
  local execution = request.id and parts.model:get(request.id)
  if fault.change_etag and execution and request.file then
    parts.files:change(execution, request.file)
  end
end

-- Whether the operation itself is carried out. A fault that replaces the response keeps it from
-- happening unless it says `perform = true`; one that only spoils the way back does not.
function Faults:performs(fault)
  if fault.perform ~= nil then return fault.perform end
  return not (fault.status or fault.redirect or fault.body or fault.garbage or fault.bomb)
end

local function text_of(body)
  if type(body) == "string" then return body end
  local parts, offset = {}, 0
  while offset < body.length do
    local text, first, last = body.piece(offset, body.length - offset)
    last = math.min(last, first + body.length - offset - 1)
    parts[#parts + 1] = text:sub(first, last)
    offset = offset + last - first + 1
  end
  return table.concat(parts)
end

local function set(headers, name, value)
  for other in pairs(headers) do
    if other:lower() == name:lower() then headers[other] = nil end
  end
  headers[name] = value ~= json.null and value or nil
end

-- The response after a fault: `response` is nil when the operation was not carried out.
function Faults:after(fault, response)
  local replaced = fault.status or fault.redirect or fault.body or fault.bomb or not response
  local result = { headers = {} }
  for name, value in pairs(response and not replaced and response.headers or {}) do
    result.headers[name] = value
  end
  if replaced then
    result.status = fault.status or fault.redirect and 302 or 200
    local body = fault.body or ""
    result.body = type(body) == "table" and json.encode(body) or tostring(body)
    result.headers["Content-Type"] = "application/json"
  else
    result.status, result.body = response.status, response.body
    result.chunked = response.chunked
  end
  result.reason = fault.reason
  if fault.redirect then set(result.headers, "Location", fault.redirect) end
  if fault.bomb then
    result.body = gzip.bomb(fault.bomb)
    set(result.headers, "Content-Encoding", "gzip")
  elseif fault.content_encoding == "gzip" then
    result.body = gzip.store(text_of(result.body))
    set(result.headers, "Content-Encoding", "gzip")
  elseif fault.content_encoding then
    set(result.headers, "Content-Encoding", fault.content_encoding)
  end
  if fault.body_bytes then result.body = ('"%s"'):format(("x"):rep(fault.body_bytes - 2)) end
  for name, value in pairs(fault.headers or {}) do
    set(result.headers, name, value)
  end
  return result
end

return { new = new }
