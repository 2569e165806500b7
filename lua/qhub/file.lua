-- A result file: userdata that is read in chunks, by hand or as an iterator.
--
-- Memory stays constant: the transport holds at most about one chunk, and a consumer that pauses
-- stops the network. Opened when the headers are in, so that a 404 is an error at once.

local call = require "qhub.call"
local core = require "qhub.core"
local misuse = require "qhub.misuse"
local problem = require "qhub.problem"
local show = require "qhub.show"

local object = core.object

local file = { DEFAULT_CHUNK_SIZE = 256 * 1024 }

local File = { __name = "qhub.File" }

local methods = {}

local function state_of(self, method)
  local state = object.state(self, File)
  if method and state.closed then
    misuse("file:%s: the file %s is closed", method, show.value(state.name))
  end
  return state
end

local function release(state)
  local response = state.response
  if response then
    state.response = nil
    response:close()
  end
end

-- The length that the answer announces, or nil when it says nothing about the decoded bytes.
local function announced_size(headers)
  local encoding = headers["content-encoding"]
  if encoding and encoding:lower() ~= "identity" then
    return nil
  end
  local length = headers["content-length"]
  return length and length:find "^%d+$" and math.tointeger(tonumber(length)) or nil
end

local function failed(state, failure)
  release(state)
  state.err = problem.failure(call.context(state.plan, state.exchange), failure)
  return nil, state.err
end

-- The next chunk of at most `n` bytes; nil at the end; nil and an error object.
local function read(state, n)
  if state.err then
    return nil, state.err
  elseif state.finished then
    return nil
  elseif state.busy then
    misuse("file:read: the file %s is being read by another task", show.value(state.name))
  end
  state.busy = true
  local chunk, failure = state.response:read(n)
  state.busy = false
  if chunk then
    state.received = state.received + #chunk
    return chunk
  elseif failure then
    return failed(state, failure)
  elseif state.size and state.received ~= state.size then
    local message = ("the body has %d bytes, announced were %d"):format(state.received, state.size)
    return failed(state, { kind = "network", message = message, sent = true })
  end
  state.finished = true
  release(state)
  return nil
end

--- A chunk of at most `n` bytes (the file's chunk size), nil at the end, or nil and an error.
function methods:read(n)
  local state = state_of(self, "read")
  if n ~= nil then
    if not math.type(n) or not math.tointeger(n) or n < 1 then
      misuse("file:read: the number of bytes must be a whole number above 0, got %s", show.value(n))
    end
    n = math.min(math.tointeger(n), state.chunk_size)
  end
  return read(state, n or state.chunk_size)
end

--- Everything that is left, as one string; or nil and an error.
function methods:read_all()
  local state = state_of(self, "read_all")
  local chunks, count = {}, 0
  while true do
    local chunk, err = read(state, state.chunk_size)
    if err then
      return nil, err
    elseif not chunk then
      return table.concat(chunks)
    end
    count = count + 1
    chunks[count] = chunk
  end
end

--- Ends the transfer; idempotent. Bytes that were not read are lost.
function methods:close()
  local state = state_of(self)
  state.closed = true
  release(state)
  return true
end

local FIELDS = {
  name = true,
  size = true,
  content_type = true,
  headers = true,
  received = true,
}

function File.__index(self, name)
  local method = methods[name]
  if method then
    return method
  end
  return FIELDS[name] and object.state(self, File)[name] or nil
end

function File.__newindex(_, name)
  misuse("a qhub.File is read-only; %s cannot be set", show.value(name))
end

--- As an iterator: the next chunk or nil; raises the error object of a read that failed.
function File.__call(self)
  local state = state_of(self, "read")
  local chunk, err = read(state, state.chunk_size)
  if err then
    error(err, 0)
  end
  return chunk
end

function File.__tostring(self)
  local state = object.state(self, File)
  local of = state.size and " of " .. state.size or ""
  local closed = state.closed and " (closed)" or ""
  return ("%s %s, %d%s bytes%s"):format(
    File.__name,
    show.value(state.name),
    state.received,
    of,
    closed
  )
end

File.__gc = methods.close
File.__close = methods.close

--- Opens the file `name` by `plan`. Returns the four values of a generic `for`: the file, nil, nil,
--- and the file again, which is closed when the loop is left; or nil and an error.
function file.open(client, plan, name)
  local chunk_size = plan.stream
  plan.stream = math.max(16 * 1024, math.min(chunk_size, 1 << 20)) -- what the transport holds
  local response, exchange = call.exchange(client, plan)
  if not response then
    return nil, exchange
  end
  local fields = response.headers
  local self = object.new(File, {
    name = name,
    size = announced_size(fields),
    content_type = fields["content-type"],
    headers = fields,
    received = 0,
    client = client,
    plan = plan,
    exchange = exchange,
    response = response,
    chunk_size = chunk_size,
    closed = false,
  })
  return self, nil, nil, self
end

file.methods = methods

return file
