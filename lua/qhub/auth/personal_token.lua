-- `qhub.credentials.default`: a personal access token from where the reference tools keep it: the
-- given one, the environment, the configuration file. Messages never hold the token.

local core = require "qhub.core"
local errors = require "qhub.error"
local options = require "qhub.options"
local show = require "qhub.text"

local system, text = core.system, core.text

local CONFIG_LIMIT = 1 << 20
local TOKEN_VARIABLE, CONFIG_VARIABLE = "KQH_PERSONAL_ACCESS_TOKEN", "KQH_CONFIG_FILE_PATH"

local DEFAULT = { access_token = options.check.secret }

local function environment(name)
  local value = system.getenv(name)
  return value ~= "" and value or nil
end

-- Where the reference tools keep their configuration, or nil and why there is no such place.
-- An XDG_CONFIG_HOME that is not absolute is to be ignored (XDG base directory specification).
local function config_path()
  local path = environment(CONFIG_VARIABLE)
  if path then
    return path
  end
  local directory = environment "XDG_CONFIG_HOME"
  if not directory or directory:sub(1, 1) ~= "/" then
    local home = environment "HOME"
    if not home then
      return nil, CONFIG_VARIABLE .. ", XDG_CONFIG_HOME and HOME (not set)"
    end
    directory = home .. "/.config"
  end
  return directory .. "/planqk/config.json"
end

-- The token in the configuration file `path`; or nil and what is wrong with the file.
local function read_config(path)
  local content, message, code = system.read_file(path, CONFIG_LIMIT)
  if not content then
    if code == "ENOENT" or code == "ENOTDIR" then
      return nil, "does not exist"
    end
    return nil, "cannot be read: " .. show.line(message)
  end
  local config, _, line, column = core.json.decode(content)
  if config == nil then
    return nil, ("is no valid JSON, line %d, column %d"):format(line, column)
  end
  local auth = type(config) == "table" and config.auth
  local value = type(auth) == "table" and auth.value
  if value == nil or value == false or value == core.json.null then
    return nil, "has no auth.value"
  elseif type(value) ~= "string" or value == "" then
    return nil, "has an auth.value that is no string, or an empty one"
  elseif text.has_control(value) then
    return nil, "has an auth.value with control characters"
  end
  return value
end

--- The personal access token: the given one, else that of the environment, else that of the
--- configuration file; or nil and an error of kind "token" that names everything looked at.
local function personal_token(given)
  local o = options.checked(given, DEFAULT, "credentials.default")
  if o.access_token then
    return o.access_token
  end
  local looked_at = { "the option access_token (not given)" }
  local token = environment(TOKEN_VARIABLE)
  if token and not text.has_control(token) then
    return token
  end
  -- One that is there but broken is an error by itself: the program meant that one.
  looked_at[2] = TOKEN_VARIABLE .. (token and " (has control characters)" or " (not set)")
  if not token then
    local path, reason = config_path()
    if path then
      token, reason = read_config(path)
      if token then
        return token
      end
      reason = show.line(path, 1000) .. " (" .. reason .. ")"
    end
    looked_at[3] = reason
  end
  return nil,
    errors.new {
      kind = "token",
      message = "credentials.default: no access token; looked at " .. table.concat(looked_at, ", "),
    }
end

return personal_token
