-- What was asked of the gateway, for tests that count.
--
-- Responsible for: a bounded list of the requests seen and totals by operation. Control requests
-- are not recorded. It must not know what the requests mean.

local Recorder = {}
Recorder.__index = Recorder

local function new(limit)
  return setmetatable({ limit = limit, active = 0 }, Recorder):clear()
end

function Recorder:clear()
  self.entries, self.total, self.operations = {}, 0, {}
  self.peak = self.active
  return self
end

-- Notes a request when its head is in; it is kept as it is, so it must not be changed any more
-- except for what arrives later. The list is a ring: the oldest go when it is full.
function Recorder:add(request, operation, fault)
  operation = operation or "other"
  request.operation, request.fault = operation, fault ~= nil
  self.total = self.total + 1
  self.operations[operation] = (self.operations[operation] or 0) + 1
  if self.limit > 0 then self.entries[(self.total - 1) % self.limit + 1] = request end
end

function Recorder:begin()
  self.active = self.active + 1
  self.peak = math.max(self.peak, self.active)
end

-- Calls a function with each entry still held, oldest first.
function Recorder:each(visit)
  for number = math.max(1, self.total - self.limit + 1), self.total do
    visit(self.entries[(number - 1) % self.limit + 1], number)
  end
end

-- Notes the end of a request; a large body is not kept.
function Recorder:finish(request, status)
  self.active = self.active - 1
  request.status, request.body_size = status, #request.body
  if #request.body > 65536 then request.body = nil end
end

-- The entries still held, oldest first, as plain tables.
function Recorder:list()
  local list = {}
  self:each(function(request, number)
    list[#list + 1] = {
      number = number,
      method = request.method,
      path = request.path,
      query = request.query,
      target = request.target,
      headers = request.headers,
      authorized = request.headers.authorization ~= nil,
      range = request.headers.range,
      operation = request.operation,
      connection = request.connection,
      on_connection = request.on_connection,
      fault = request.fault,
      status = request.status,
      body_size = request.body_size,
      body = request.body,
    }
  end)
  return list
end

-- How many of the entries held have a method and a path that matches a Lua pattern.
function Recorder:count(method, pattern)
  local count = 0
  self:each(function(request)
    if (not method or request.method == method) and (not pattern or request.path:find(pattern)) then
      count = count + 1
    end
  end)
  return count
end

return { new = new }
