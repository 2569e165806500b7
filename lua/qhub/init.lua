-- `require "qhub"`: the public names. What a status call does not need is loaded when it is first
-- used; to programs all names look like plain values.

-- Older versions can read this file, but not those that it requires.
if _VERSION == "Lua 5.1" or _VERSION == "Lua 5.2" or _VERSION == "Lua 5.3" then
  error("qhub needs Lua 5.4, this is " .. _VERSION, 0)
end

-- The C module is bound faster when that has opened it: see src/lazy.c.
if not package.preload["qhub.core"] then pcall(require, "qhub.lazy") end
local core = require "qhub.core"

-- Lets `require` find the other modules beside this file at `path`, even when package.path or the
-- current directory changes. What `make install` has compiled (`.luac`) goes before its source,
-- unless this Lua refuses it: it may be another one than that which compiled. Returns the folder.
local function keep_folder(path)
  local folder = type(path) == "string" and path:match "^(.*)qhub/init%.lua$"
  local directory = folder and folder:sub(1, 1) ~= "/" and core.system.working_directory()
  folder = directory and directory .. "/" .. folder or folder
  local load, search, searchers = loadfile, package.searchpath, package.searchers
  if not folder or folder:sub(1, 1) ~= "/" or not (load and search and searchers) then
    return -- from memory, or in a sandbox
  end
  local compiled = folder .. "?.luac;" .. folder .. "?/init.luac"
  local sources = folder .. "?.lua;" .. folder .. "?/init.lua"
  local function searcher(name)
    if not name:find "^qhub%." then return nil end
    local file = search(name, compiled)
    local chunk = file and load(file, "b")
    if chunk then return chunk, file end
    file = search(name, sources) or folder .. name:gsub("%.", "/") .. ".lua" -- says why not
    local source, message = load(file)
    return source or message, file
  end
  for index, other in ipairs(searchers) do -- one that an earlier `require "qhub"` has left
    if other == searchers.qhub then table.remove(searchers, index) end
  end
  table.insert(searchers, 2, searcher) -- after package.preload
  searchers.qhub = searcher
  return folder
end

local folder = keep_folder((select(2, ...)))
if folder then require("qhub.error").add_own_folder(folder .. "qhub/") end

local client = require "qhub.hub.client"
local methods = require "qhub.hub.methods"

-- Each name maps to its own string. Values that the gateway may add later pass through unchanged
-- wherever they appear. Source: the reference documentation, section "Enums".
local function enumeration(names)
  local values = {}
  for _, name in ipairs(names) do
    values[name] = name
  end
  return values
end

local qhub = {
  _VERSION = require "qhub.http.version",
  HubServiceClient = client.new,
  HubServiceClientEnvironment = {
    DEFAULT = "https://gateway.hub.kipu-quantum.com/<context>/<service>/<version>",
  },
  LogEntrySeverity = enumeration { "DEBUG", "NOTICE", "INFO", "WARNING", "ERROR" },
  result_files = methods.result_files,
  ServiceExecutionStatus = enumeration(require("qhub.execution").STATUSES),
  ServiceExecutionType = enumeration { "MANAGED", "WORKFLOW" },
}

-- Names to the modules that are their values, or have a member that is.
local LATER = {
  credentials = { "qhub.auth" },
  data_pool = { "qhub.options.start", "data_pool" },
  is_error = { "qhub.error", "is_error" },
  json = { "qhub.json" },
  parse_timestamp = { "qhub.hub.timestamp" },
  progress = { "qhub.progress", "display" },
  tasks = { "qhub.tasks" },
}

return setmetatable(qhub, {
  __index = function(_, name)
    local module, member = table.unpack(LATER[name] or {})
    if not module then return nil end
    local value = require(module)
    qhub[name] = member and value[member] or value
    return qhub[name]
  end,
  __pairs = function()
    for name in pairs(LATER) do
      qhub[name] = qhub[name] -- loads it
    end
    return next, qhub, nil
  end,
})
