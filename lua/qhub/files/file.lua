-- A result file: userdata that is read in chunks, by hand or as an iterator.
--
-- Memory stays constant: the transport holds at most about one chunk, and a consumer that pauses
-- stops the network. Opened when the headers are in, so that a 404 is an error at once. Where the
-- bytes come from, and how they are resumed, is stream.lua's.

local core = require "qhub.core"
local options = require "qhub.options"
local usage_error = require("qhub.error").usage
local streams = require "qhub.files.stream"
local text = require "qhub.error.text"

local object = core.object

local file = {}

local File = { __name = "qhub.File" }

local methods = {}

-- The state of a file: name, reader, chunk_size (the largest chunk in bytes), and what it was
-- opened with: session, request, url. Each method gets it by itself, since `object.state` blames
-- the caller of the function that it was called from. None ends in a tail call: the file could be
-- collected, and so closed, while it is being read.

local function check_open(state, method)
  if state.reader.closed then
    usage_error("file:%s: the file %s is closed", method, text.value(state.name))
  end
end

--- A chunk of at most `n` bytes (the file's chunk size), nil at the end, or nil and an error.
function methods:read(n)
  local state = object.state(self, File)
  check_open(state, "read")
  if n ~= nil then
    if not math.type(n) or not math.tointeger(n) or n < 1 then
      options.refuse("file:read", "the number of bytes", "a whole number above 0", n)
    end
    n = math.min(math.tointeger(n), state.chunk_size)
  end
  local chunk, err = state.reader:read(n or state.chunk_size)
  if err then return nil, err end
  return chunk
end

--- Everything that is left, as one string; or nil and an error.
function methods:read_all()
  local state = object.state(self, File)
  check_open(state, "read_all")
  local chunks, count = {}, 0
  while true do
    local chunk, err = state.reader:read(state.chunk_size)
    if err then return nil, err end
    if not chunk then return table.concat(chunks) end
    count = count + 1
    chunks[count] = chunk
  end
end

--- Saves the file, of which nothing was read yet, as `path`, and closes it. Returns the path, or
--- nil and an error. For options see download.lua.
function methods:save(path, given)
  local state = object.state(self, File)
  check_open(state, "save")
  local source = state.reader
  local download = require "qhub.files.download"
  local checked = download.checked(path, given, "file:save")
  if source.received > 0 or source.busy then
    local form = "file:save: the file %s was read already, in part or all of it"
    usage_error(form, text.value(state.name))
  end
  local saved, err = download.save({
    name = state.name,
    where = "file:save",
    resource = state.url,
    open = function(known)
      if not known or known.version.validator ~= source.version.validator then return source end
      source:close() -- a part of the same version is continued by a request of its own
      local rest, err = streams.open(state.session, state.request, state.url, known)
      state.reader = rest or source
      return rest, err
    end,
  }, path, checked)
  if not saved then return nil, err end
  return saved
end

--- Ends the transfer; idempotent. Bytes that were not read are lost.
function methods:close()
  object.state(self, File).reader:close()
  return true
end

local FIELDS = { size = true, content_type = true, headers = true, received = true }

function File.__index(self, name)
  local method = methods[name]
  if method then return method end
  local state = object.state(self, File)
  if name == "name" then return state.name end
  return FIELDS[name] and state.reader[name] or nil
end

function File.__newindex(_, name)
  usage_error("a qhub.File is read-only; %s cannot be set", text.value(name))
end

--- As an iterator: the next chunk or nil; raises the error object of a read that failed.
function File.__call(self)
  local chunk, err = methods.read(self)
  if err then error(err, 0) end
  return chunk
end

function File.__tostring(self)
  local state = object.state(self, File)
  local name, source = text.value(state.name), state.reader
  local shown = ("%s %s, %d"):format(File.__name, name, source.received)
  if source.size then shown = shown .. " of " .. source.size end
  return shown .. " bytes" .. (source.closed and " (closed)" or "")
end

File.__gc = methods.close
File.__close = methods.close

--- Opens the file `name` at `url` by `request`. Returns the four values of a generic `for`: the
--- file, nil, nil, and the file again, which is closed when the loop is left; or nil and an error.
function file.open(session, request, url, name)
  local reader, err = streams.open(session, request, url)
  if not reader then return nil, err end
  local self = object.new(File, {
    name = name,
    reader = reader,
    chunk_size = request.stream,
    session = session,
    request = request,
    url = url,
  })
  return self, nil, nil, self
end

return file
