-- The default resolution of an access token, with real files and an environment of its own.

local core = require "qhub.core"
local qhub = require "qhub"
local usage_error = require "spec.support.usage_error"

describe("the search for a personal token", function()
  local getenv = core.system.getenv
  local environment, folder

  before_each(function()
    environment = {}
    core.system.getenv = function(name)
      return environment[name]
    end
    folder = os.tmpname()
    os.remove(folder)
    assert(os.execute(("mkdir -p %s/.config/planqk %s/.config/qhubctl"):format(folder, folder)))
  end)

  after_each(function()
    core.system.getenv = getenv
    os.execute("rm -rf " .. folder)
  end)

  local function write(name, content)
    local file <close> = assert(io.open(folder .. "/" .. name, "wb"))
    assert(file:write(content))
    return folder .. "/" .. name
  end

  local function config_of(value)
    return ('{"auth":{"type":"API_KEY","value":"%s"},"context":{"id":"x"}}'):format(value)
  end

  local function resolved(...)
    local token = assert(qhub.credentials.default(...))
    return token
  end

  local function failure()
    local token, err = qhub.credentials.default()
    assert.is_nil(token)
    assert.is_true(qhub.is_error(err))
    assert.equal("token", err.kind)
    return tostring(err)
  end

  local variables = {
    "KQH_SERVICE_EXECUTION_TOKEN",
    "KQH_PERSONAL_ACCESS_TOKEN",
    "PLANQK_SERVICE_EXECUTION_TOKEN",
    "SERVICE_EXECUTION_TOKEN",
    "PLANQK_PERSONAL_ACCESS_TOKEN",
  }

  it("prefers the given value, then the five environment variables, then a file", function()
    environment.HOME = folder
    write(".config/qhubctl/config.json", config_of "from the file")
    assert.equal("from the file", resolved())
    for index = #variables, 1, -1 do
      environment[variables[index]] = "from " .. variables[index]
      assert.equal("from " .. variables[index], resolved {})
    end
    assert.equal("given", resolved { access_token = "given" })
  end)

  it("prefers the file of the environment, then that of qhubctl, then the legacy one", function()
    environment.HOME = folder
    write(".config/planqk/config.json", config_of "legacy")
    assert.equal("legacy", resolved())
    write(".config/qhubctl/config.json", config_of "qhubctl")
    assert.equal("qhubctl", resolved())
    environment.PLANQK_CONFIG_FILE_PATH = write("old.json", config_of "named by PLANQK")
    assert.equal("named by PLANQK", resolved())
    environment.KQH_CONFIG_FILE_PATH = write("new.json", config_of "named by KQH")
    assert.equal("named by KQH", resolved())
  end)

  it("reads the legacy file, not that of qhubctl, when the named file is missing", function()
    environment.HOME = folder
    write(".config/qhubctl/config.json", config_of "qhubctl")
    write(".config/planqk/config.json", config_of "legacy")
    environment.KQH_CONFIG_FILE_PATH = folder .. "/missing.json"
    assert.equal("legacy", resolved())
    environment.KQH_CONFIG_FILE_PATH = folder
    assert.equal("legacy", resolved())
  end)

  it("treats empty variables as unset, and ignores XDG_CONFIG_HOME", function()
    environment.HOME = folder
    environment.XDG_CONFIG_HOME = folder .. "/xdg"
    assert(os.execute(("mkdir -p %s/xdg/qhubctl %s/xdg/planqk"):format(folder, folder)))
    write("xdg/qhubctl/config.json", config_of "xdg")
    write("xdg/planqk/config.json", config_of "xdg")
    environment.KQH_CONFIG_FILE_PATH = ""
    environment.PLANQK_CONFIG_FILE_PATH = ""
    for _, name in ipairs(variables) do
      environment[name] = ""
    end
    write(".config/qhubctl/config.json", config_of "from home")
    assert.equal("from home", resolved())
  end)

  it("reports a broken file instead of reading an older one", function()
    environment.HOME = folder
    local path = write(".config/qhubctl/config.json", "{")
    write(".config/planqk/config.json", config_of "legacy")
    assert.matches(path .. " (is not valid JSON", failure(), 1, true)
  end)

  it("names every source that it searched when it finds nothing", function()
    local text = failure()
    local names = { "access_token", "KQH_CONFIG_FILE_PATH", "PLANQK_CONFIG_FILE_PATH", "HOME" }
    table.move(variables, 1, #variables, #names + 1, names)
    for _, name in ipairs(names) do
      assert.matches(name, text, 1, true)
    end
    environment.HOME = folder
    text = failure()
    assert.matches(folder .. "/.config/qhubctl/config.json (does not exist)", text, 1, true)
    assert.matches(folder .. "/.config/planqk/config.json (does not exist)", text, 1, true)
    environment.KQH_CONFIG_FILE_PATH = "/nowhere/at all.json"
    assert.matches("/nowhere/at all.json (does not exist)", failure(), 1, true)
  end)

  it("names a broken file and what is wrong with it, never a value", function()
    local long = (" "):rep(1 << 20) .. "{}"
    for content, expected in pairs {
      [""] = "is not valid JSON",
      ['{"auth":{"value":"t0psecret"}'] = "is not valid JSON, line 1",
      ['{"auth":\n{"value":"t0psecret",}}'] = "is not valid JSON, line 2",
      ["[]"] = "has no auth.value",
      ["17"] = "has no auth.value",
      ["{}"] = "has no auth.value",
      ['{"auth":null}'] = "has no auth.value",
      ['{"auth":"t0psecret"}'] = "has no auth.value",
      ['{"auth":{"value":null}}'] = "has no auth.value",
      ['{"auth":{"value":""}}'] = "its auth.value is an empty string",
      ['{"auth":{"value":["t0psecret"]}}'] = "must be a string",
      ['{"auth":{"value":"t0psecret\\n"}}'] = "control characters",
      [long] = "cannot be read",
    } do
      local path = write("broken.json", content)
      environment.KQH_CONFIG_FILE_PATH = path
      local text = failure()
      assert.matches(
        path .. " (" .. (expected == "cannot be read" and expected or ""),
        text,
        1,
        true
      )
      assert.matches(expected, text, 1, true)
      assert.is_nil(text:find("t0psecret", 1, true), text)
    end
    environment.KQH_CONFIG_FILE_PATH = folder
    assert.matches(folder .. " (is a directory)", failure(), 1, true)
  end)

  it("refuses an environment token with control characters and does not show it", function()
    environment.KQH_PERSONAL_ACCESS_TOKEN = "t0psecret\n"
    local text = failure()
    assert.matches("KQH_PERSONAL_ACCESS_TOKEN (has control characters", text, 1, true)
    assert.is_nil(text:find("t0psecret", 1, true))
  end)

  it("raises for a given value that is not a token, and for unknown options", function()
    local default = qhub.credentials.default
    for _, value in ipairs { "", "t0psecret\n", 5, {} } do
      local message = usage_error(default, { access_token = value })
      assert.matches("access_token", message, 1, true)
      assert.is_nil(message:find("t0psecret", 1, true))
    end
    assert.matches("known are access_token", usage_error(default, { acces_token = "a" }), 1, true)
    assert.matches("must be a table", usage_error(default, "token"), 1, true)
  end)
end)
