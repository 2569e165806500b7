-- Result files of any size, made on the fly.
--
-- Responsible for: which files a run has, their bytes, validators and checksums. The bytes of a
-- generated file depend on the seed, the file's name and version and the offset alone, so any part
-- of a file can be made at any time and nothing is stored. It must not know HTTP.

local chemistry = require "chemistry"
local cqueues = require "cqueues"
local digest = require "openssl.digest"

local BLOCK = 65536

local Files = {}
Files.__index = Files

local types = {
  txt = "text/plain; charset=utf-8",
  svg = "image/svg+xml",
  json = "application/json",
  csv = "text/csv",
  png = "image/png",
}

-- A sequence of pseudo-random 64-bit numbers (xorshift64*) of its own, so that the bytes of files
-- do not depend on what else was drawn.
local function sequence(seed)
  local state = seed * 0x9E3779B97F4A7C15 + 0x632BE59BD9B4E019
  return function()
    state = state ~ (state >> 12)
    state = state ~ (state << 25)
    state = state ~ (state >> 27)
    return state * 0x2545F4914F6CDD1D
  end
end

local function new(model, seed)
  local draw = sequence(seed)
  local words = {}
  for index = 1, 2 * BLOCK // 8 do
    words[index] = string.pack("<i8", draw())
  end
  return setmetatable({
    model = model,
    noise = table.concat(words),
    seed = seed,
    versions = {},
    sums = {},
    born = os.time() - 86400,
  }, Files)
end

local function hash(text)
  local value = 0x3bf29ce484222325
  for index = 1, #text do
    value = ((value ~ text:byte(index)) * 0x100000001b3) & 0x7fffffffffffffff
  end
  return value ~ (value >> 29)
end

local defaults = { "hello.txt", "plot.svg", "result.bin", "SHA256SUMS" }

-- The names of an execution's files: those that the run asked for, sorted, or the usual ones. A
-- run that did not succeed has at most the file of its problem document.
function Files:names(execution)
  local model = self.model
  local _, output = model:output(execution)
  if model:state(execution) ~= "SUCCEEDED" then
    return { output }
  elseif not execution.files then
    local names = table.move(defaults, 1, #defaults, 1, {})
    names[#names + 1] = output
    return names
  end
  local names = {}
  for name in pairs(execution.files) do
    names[#names + 1] = name
  end
  table.sort(names)
  return names
end

local natural = {}

natural["hello.txt"] = function(_, execution)
  return "Hello from execution " .. execution.id .. "!\n"
end

natural["plot.svg"] = function(self, execution)
  return chemistry.plot(self.model:problem(execution))
end

natural["SHA256SUMS"] = function(self, execution)
  local lines = {}
  for _, name in ipairs(self:names(execution)) do
    if name ~= "SHA256SUMS" then
      local sum = self:sha256(self:get(execution, name))
      lines[#lines + 1] = sum .. "  " .. name .. "\n"
    end
  end
  return table.concat(lines)
end

natural["output.json"] = function(self, execution)
  return (self.model:output(execution))
end

natural["output.txt"] = natural["output.json"]

-- Makes the file another one from now on: other bytes, another validator.
function Files:change(execution, name)
  local key = execution.id .. "/" .. name
  self.versions[key] = (self.versions[key] or 1) + 1
end

-- One file, or nil when the execution has none of that name. A file has name, type, length, etag,
-- modified (seconds since 1970), piece (see reply.lua) and what the run asked for: chunked, weak,
-- `etag = false`, `last_modified = false`.
function Files:get(execution, name)
  local wanted = (execution.files or {})[name]
  if wanted == nil then
    for _, other in ipairs(self:names(execution)) do
      wanted = wanted or other == name
    end
    if not wanted then return nil end
  end
  local spec = type(wanted) == "table" and wanted or {}
  local size = type(wanted) == "number" and wanted or spec.size
  local content = type(wanted) == "string" and wanted or spec.content
  if not content and not size and natural[name] then content = natural[name](self, execution) end
  size = math.tointeger(size) or execution.shape.file_size
  local version = self.versions[execution.id .. "/" .. name] or 1
  local key = hash(string.format("%s\0%d\0%s", name, version, content or ""))
  local file = {
    name = name,
    type = spec.type or types[name:match("%.(%w+)$")] or "application/octet-stream",
    length = content and #content or size,
    key = key,
    modified = self.born + version,
    chunked = spec.chunked,
    last_modified = spec.last_modified,
  }
  file.etag = spec.etag ~= false and string.format('"%x-%x-%x"', self.seed, key, file.length) or nil
  if file.etag and spec.weak then file.etag = "W/" .. file.etag end
  if content then
    function file.piece(offset, most)
      return content, offset + 1, math.min(#content, offset + most)
    end
  else
    file.piece = self:generator(key)
  end
  return file
end

-- Every block of a file is a window into twice a block of noise; where it starts depends on the
-- file and the block, so no bytes have to be copied to make it. 40503 is odd: the windows of
-- 65536 blocks (4 GiB) are all different.
function Files:generator(key)
  local noise = self.noise
  return function(offset, most)
    local start = (key + offset // BLOCK * 40503) % BLOCK
    local within = offset % BLOCK
    return noise, start + within + 1, start + math.min(BLOCK, within + most)
  end
end

-- Hexadecimal SHA-256 of a file; others are served while a large one is computed.
function Files:sha256(file)
  local id = file.key .. "/" .. file.length
  local known = self.sums[id]
  if known then return known end
  local sum, offset = digest.new("sha256"), 0
  while offset < file.length do
    local text, first, last = file.piece(offset, file.length - offset)
    sum:update(text:sub(first, last))
    offset = offset + last - first + 1
    if offset % (64 * BLOCK) == 0 then cqueues.sleep(0) end
  end
  local hex = sum:final():gsub(".", function(byte)
    return string.format("%02x", byte:byte())
  end)
  self.sums[id] = hex
  return hex
end

return { new = new }
