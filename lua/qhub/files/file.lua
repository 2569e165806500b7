-- A result file: userdata that is read in chunks, by hand or as an iterator.
--
-- Memory stays constant: the transport holds little of it, and a consumer that pauses
-- stops the network. Opened when the headers are in, so that a 404 is an error at once. Where the
-- bytes come from, and how they are resumed, is stream.lua's.

local core = require "qhub.core"
local options = require "qhub.options"
local usage_error = require("qhub.error").usage
local streams = require "qhub.files.stream"
local text = require "qhub.error.text"

local object = core.object
local check_count = options.check.integer(1, math.maxinteger)

local File = { __name = "qhub.File" }

local methods = {}

-- The state of a file is its reader, with the file's name. Each method gets it by itself, since
-- `object.state` blames the caller of the function that it was called from. None ends in a tail
-- call: the file could be collected, and so closed, while it is being read.

local function check_open(reader, method)
  if reader.closed then
    usage_error("file:%s: the file %s is closed", method, text.value(reader.name))
  end
end

--- A chunk of at most `n` bytes (the file's chunk size), nil at the end, or nil and an error.
function methods:read(n)
  local reader = object.state(self, File)
  check_open(reader, "read")
  local most = reader.chunk_size
  if n ~= nil then most = math.min(check_count(n, "the number of bytes", "file:read"), most) end
  local chunk, err = reader:read(most)
  if err then return nil, err end
  return chunk
end

--- Everything that is left, as one string; or nil and an error.
function methods:read_all()
  local reader = object.state(self, File)
  check_open(reader, "read_all")
  local chunks, count = {}, 0
  while true do
    local chunk, err = reader:read(reader.chunk_size)
    if err then return nil, err end
    if not chunk then return table.concat(chunks) end
    count = count + 1
    chunks[count] = chunk
  end
end

--- Saves the file, of which nothing was read yet, as `path`, and closes it. Returns the path, or
--- nil and an error. For options see download.lua.
function methods:save(path, given)
  local reader = object.state(self, File)
  check_open(reader, "save")
  local download = require "qhub.files.download"
  local o = options.checked(given, download.checkers, "file:save")
  if reader.received > 0 or reader.busy then
    local form = "file:save: the file %s was read already, in part or all of it"
    usage_error(form, text.value(reader.name))
  end
  local saved, err = download.save({
    name = reader.name,
    where = "file:save",
    resource = reader.call.url,
    open = function(known)
      local is_same = known and known.version.validator == reader.version.validator
      if is_same then return reader:begin(known) end
      return reader
    end,
  }, path, o)
  if not saved then return nil, err end
  return saved
end

--- Ends the transfer; idempotent. Bytes that were not read are lost.
function methods:close()
  object.state(self, File):close()
  return true
end

local FIELDS = { name = true, size = true, content_type = true, headers = true, received = true }

File.__index = object.index(File, methods, FIELDS, function(self)
  object.state(self, File) -- raises for anything but a file
end)

--- As an iterator: the next chunk or nil; raises the error object of a read that failed.
function File.__call(self)
  local chunk, err = methods.read(self)
  if err then error(err, 0) end
  return chunk
end

function File.__tostring(self)
  local reader = object.state(self, File)
  local shown = ("%s %s, %d"):format(File.__name, text.value(reader.name), reader.received)
  if reader.size then shown = shown .. " of " .. reader.size end
  return shown .. " bytes" .. (reader.closed and " (closed)" or "")
end

File.__gc = methods.close
File.__close = methods.close

--- Opens the file `name` at `url` by `request`. Returns the four values of a generic `for`: the
--- file, nil, nil, and the file again, which is closed when the loop is left; or nil and an error.
local function open(session, request, url, name)
  local reader, err = streams.open(session, request, url)
  if not reader then return nil, err end
  reader.name = name
  local self = object.new(File, reader)
  return self, nil, nil, self
end

return { open = open }
