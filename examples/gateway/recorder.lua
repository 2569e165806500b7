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

-- Notes a request when its head is in. The entry is a ring's: the oldest go when it is full.
function Recorder:add(request, operation, fault)
  operation = operation or "other"
  local entry = {
    number = self.total + 1,
    method = request.method,
    path = request.path,
    query = request.query,
    target = request.target,
    headers = request.headers,
    authorized = request.headers.authorization ~= nil,
    range = request.headers.range,
    operation = operation,
    connection = request.connection,
    on_connection = request.on_connection,
    fault = fault ~= nil,
  }
  self.total = self.total + 1
  self.operations[operation] = (self.operations[operation] or 0) + 1
  self.entries[(self.total - 1) % self.limit + 1] = entry
  return entry
end

function Recorder:begin()
  self.active = self.active + 1
  self.peak = math.max(self.peak, self.active)
end

function Recorder:finish()
  self.active = self.active - 1
end

-- The entries still held, oldest first.
function Recorder:list()
  local list = {}
  for number = math.max(1, self.total - self.limit + 1), self.total do
    list[#list + 1] = self.entries[(number - 1) % self.limit + 1]
  end
  return list
end

-- How many of the entries held have a method and a path that matches a Lua pattern.
function Recorder:count(method, pattern)
  local count = 0
  for _, entry in ipairs(self:list()) do
    if (not method or entry.method == method) and (not pattern or entry.path:find(pattern)) then
      count = count + 1
    end
  end
  return count
end

return { new = new }
