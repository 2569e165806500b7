-- `qhub.credentials.default`: a personal access token from where the reference tools keep it: the
-- given one, the environment, the configuration file. Messages never hold the token.

local core = require "qhub.core"
local errors = require "qhub.error"
local options = require "qhub.options"
local text = require "qhub.error.text"

local system = core.system

local CONFIG_LIMIT = 1 << 20
-- Both lists in the order of the reference tools: the first that is set and not empty counts.
local TOKEN_VARIABLES = {
  "KQH_SERVICE_EXECUTION_TOKEN",
  "KQH_PERSONAL_ACCESS_TOKEN",
  "PLANQK_SERVICE_EXECUTION_TOKEN",
  "SERVICE_EXECUTION_TOKEN",
  "PLANQK_PERSONAL_ACCESS_TOKEN",
}
local CONFIG_VARIABLES = { "KQH_CONFIG_FILE_PATH", "PLANQK_CONFIG_FILE_PATH" }
-- Below HOME: what `qhubctl login` writes, and what its predecessor wrote.
local CONFIG_FILE = "/.config/qhubctl/config.json"
local LEGACY_CONFIG_FILE = "/.config/planqk/config.json"

-- What makes a path one where no file is; anything else is a file that is there and broken.
local NO_FILE = { ENOENT = "does not exist", ENOTDIR = "does not exist", EISDIR = "is a directory" }

local WHERE = "credentials.default"
local CHECKERS = { access_token = options.check.secret }

-- The value and the name of the first of these variables that is set and not empty.
local function first_set(names)
  for _, name in ipairs(names) do
    local value = system.getenv(name)
    if value and value ~= "" then return value, name end
  end
end

-- The token in the configuration file `path`; or nil, what is wrong, and whether there is no such
-- file, so that the next one may be tried.
local function read_config(path)
  local content, message, code = system.read_file(path, CONFIG_LIMIT)
  if not content then
    local absent = NO_FILE[code] ~= nil
    return nil, absent and NO_FILE[code] or "cannot be read: " .. text.line(message), absent
  end
  local config, line, column = core.json.document(content)
  if config == nil then
    return nil, ("is not valid JSON, line %d, column %d"):format(line, column)
  end
  local auth = type(config) == "table" and config.auth
  local value = type(auth) == "table" and auth.value
  if not value or value == core.json.null then return nil, "has no auth.value" end
  local fault = options.secret_fault(value)
  if fault then return nil, "its auth.value " .. fault end
  return value
end

-- The configuration files to read, in this order. `add` is told what is not there to name them. The
-- legacy file is read even when a variable names another one, which is then not there.
local function config_files(add)
  local named, home = first_set(CONFIG_VARIABLES), first_set { "HOME" }
  if not named then add(table.concat(CONFIG_VARIABLES, ", "), "not set") end
  if not home then
    if not named then add("HOME", "not set") end
    return { named }
  end
  home = home:gsub("/+$", "")
  local legacy = home .. LEGACY_CONFIG_FILE
  return { named or home .. CONFIG_FILE, named ~= legacy and legacy or nil }
end

--- The personal access token: the given one, else that of the environment, else that of the
--- configuration file; or nil and an error of kind "token" that names everything searched. What
--- is set or there but cannot be used is an error by itself: the program meant that one.
local function personal_token(given)
  local o = options.checked(given, CHECKERS, WHERE)
  if o.access_token then return o.access_token end
  local message = WHERE .. ": no access token; looked in the option access_token (not given)"
  local function add(place, reason)
    message = ("%s, %s (%s)"):format(message, place, reason)
  end
  local token, name = first_set(TOKEN_VARIABLES)
  if token then
    local fault = options.secret_fault(token)
    if not fault then return token end
    add(name, fault)
  else
    add(table.concat(TOKEN_VARIABLES, ", "), "not set")
    for _, path in ipairs(config_files(add)) do
      local value, reason, absent = read_config(path)
      if value then return value end
      add(text.line(path, 1000), reason)
      if not absent then break end
    end
  end
  return nil, errors.new { kind = "token", message = message }
end

return personal_token
