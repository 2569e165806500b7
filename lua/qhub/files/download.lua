-- Saving a file: into a part next to the target, which becomes the target when it is complete.
--
-- `path` never holds a part of a file: the bytes grow in a file of another name (core.partfile),
-- are synced and then renamed. What leaves a download early (an error, the program's progress
-- function, Ctrl-C) closes to-be-closed variables, and they remove the part. With `resume = true`
-- it is kept, together with a note next to it that says of which version of which file it is; a
-- later call continues it when the gateway confirms that version, and starts over otherwise.
--
-- Knows neither the network nor the userdata of files: the bytes come from a reader (stream.lua).

local core = require "qhub.core"
local errors = require "qhub.error"
local filename = require "qhub.files.filename"
local options = require "qhub.options"
local progress = require "qhub.progress"
local text = require "qhub.error.text"
local validators = require "qhub.files.validators"

local partfile = core.partfile
local check = options.check

local download = {}

local LONGEST_NOTE = 64 * 1024
local MOST_AT_ONCE = 1 << 20 -- bytes between two looks at the part

--- Checkers of a download's own options.
download.checkers = { overwrite = check.boolean, resume = check.boolean, progress = progress.check }

-- An error of kind "file". `message` names a path and what the system says of it; of `part`, whose
-- name is nobody's choice, it is made to name the target.
local function failed(source, path, message, errno, part)
  local name = part and part:path()
  if name and message:sub(1, #name) == name then message = path .. message:sub(#name + 1) end
  return errors.new {
    kind = "file",
    message = source.where .. ": " .. text.line(message, 1000),
    path = path,
    errno = errno,
  }
end

-- Where the file goes: `path`, or a safe name in it when it is a directory. Raises a usage error.
local function target_of(path, name, where)
  if type(path) ~= "string" or path == "" or path:find("\0", 1, true) then
    options.refuse(where, "path", "a string that is not empty, a file or a folder to save to", path)
  end
  local is_folder = path:find "/$" ~= nil
  if not (is_folder or partfile.kind(path) == "directory") then return path end
  return path .. (is_folder and "" or "/") .. filename.safe(name)
end

-- Why nothing can be saved as `target`: what follows its name in a message, and the errno name.
local function obstacle(target, overwrite)
  local kind = partfile.kind(target)
  if kind == "directory" then
    return ": is a directory", "EISDIR"
  elseif kind == "special" then
    return ": is a device or a pipe, which a download would replace; write its chunks there",
      "EINVAL"
  elseif overwrite == false and kind then
    return ": exists, and overwrite is false", "EEXIST"
  end
end

-- ── the part and its note ───────────────────────────────────────────────────────────────────────

-- What a download holds: `part`, and `reader` once it is open; with `resume` also `note` (its
-- path), `resource`, and `is_kept` while a later call could continue the part.
local Draft = {}
Draft.__index = Draft

function Draft.__close(draft)
  local part = draft.part
  if draft.reader then draft.reader:close() end
  if draft.is_kept and part:size() > 0 then
    part:close()
    return
  end
  if draft.note then partfile.remove(draft.note) end
  part:discard()
end

-- A note is lines of "name: value": the file's URL without the query, which may hold secrets, its
-- size, and the headers that its version is made of. Header values have no control characters.
local NOTED = { "etag", "last-modified", "date", "content-encoding" }

local function note_of(resource, version)
  local lines = { "resource: " .. resource .. "\n" }
  if version.size then lines[2] = "content-length: " .. version.size .. "\n" end
  for _, name in ipairs(NOTED) do
    local value = version.fields[name]
    if value then lines[#lines + 1] = name .. ": " .. value .. "\n" end
  end
  return table.concat(lines)
end

-- What the part holds of which version, as `stream.open` wants it; nil when it is of no use.
function Draft:recall()
  local size, noted = self.part:size(), {}
  local note = size > 0 and core.system.read_file(self.note, LONGEST_NOTE, false) or ""
  for name, value in note:gmatch "([%l-]+): ([^\0-\31\127]*)\n" do
    noted[name] = value
  end
  local version = validators.version(noted)
  local whole = version.size
  local is_intact = note == note_of(self.resource, version)
  if not (is_intact and version.validator) or size > (whole or size) then return nil end
  -- Of a part that is complete the last byte is asked for again, so that there is something that
  -- the gateway can respond with what it has now.
  local position = size == whole and size - 1 or size
  return position > 0 and { position = position, version = version } or nil
end

-- Makes sure that the part is as long as the reader assumes and that the note names its version.
-- Returns true, or nil, message, errno name.
function Draft:prepare(reader, known)
  local part = self.part
  if part:size() > reader.position then
    local ok, message, errno = part:truncate(reader.position)
    if not ok then return nil, message, errno end
  end
  if not self.note or (known and reader.position > 0) then return true end
  local version = reader.version
  if not version.validator or reader.is_fixed then
    self.is_kept = false
    return partfile.remove(self.note)
  end
  local ok, message, errno = partfile.write_atomic(self.note, note_of(self.resource, version))
  if not ok then return nil, message, errno end
  self.is_kept = true
  part:keep() -- also when this Lua state ends without closing it
  return true
end

-- Returns a draft of `target`; with the URL `resource` one that may be continued. Or nil, message,
-- errno name.
local function open_draft(target, resource)
  local part, message, errno = (resource and partfile.resume or partfile.create)(target)
  if not part then return nil, message, errno end
  local draft = setmetatable({ part = part }, Draft)
  if resource then
    draft.note, draft.resource = part:path() .. ".note", resource:match "^[^?]*"
    draft.is_kept = true
    part:keep()
  end
  return draft
end

-- ── saving ──────────────────────────────────────────────────────────────────────────────────────

--- Saves what `source` brings as `path`. `source` has name (of the file), where (the call, for
--- messages), resource (its URL) and open(known) -> reader, or nil and an error. `o` are checked
--- options: overwrite (true), resume (false), progress.
--- Returns the path of the file, or nil and an error, of kind "file" for what went wrong here.
function download.save(source, path, o)
  local target = target_of(path, source.name, source.where)
  local why, errno = obstacle(target, o.overwrite)
  if why then return nil, failed(source, target, target .. why, errno) end
  local opened, message
  opened, message, errno = open_draft(target, o.resume and source.resource)
  if not opened then return nil, failed(source, target, message, errno) end
  local draft <close> = opened
  local known = draft.note and draft:recall()
  -- It can be written. Downloads that wait for a connection may be many, and hold no files; but for
  -- those that continue one.
  if not draft.note then draft.part:discard() end
  local reporter <close> = progress.start(o.progress, "file", source.name)
  local reader, err = source.open(known)
  if not reader then return nil, err end
  draft.reader = reader
  if not draft.note then
    opened, message, errno = partfile.create(target)
    if not opened then return nil, failed(source, target, message, errno) end
    draft.part = opened
  end
  local part = draft.part
  local ok
  ok, message, errno = draft:prepare(reader, known)
  if not ok then return nil, failed(source, target, message, errno) end
  reporter:update(part:size(), reader.size)
  while true do
    local count
    count, err = reader:read(MOST_AT_ONCE, part)
    if err then return nil, err end
    if not count then break end
    ok, message, errno = part:check()
    if not ok then return nil, failed(source, target, message, errno, part) end
    reporter:update(part:size(), reader.size)
  end
  ok, message, errno = part:commit(o.overwrite ~= false)
  if not ok then return nil, failed(source, target, message, errno) end
  draft.is_kept = false
  reporter:finish(true)
  return target
end

return download
