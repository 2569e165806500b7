-- What `require "qhub"` loads, and what it leaves to the first use.

local process = require "spec.support.process"

local plain_assert = _G.assert

describe('require "qhub"', function()
  it("loads each module at once, or lets it be found later without package.path", function()
    local pipe = plain_assert(io.popen "find lua/qhub -name '*.lua' | sort")
    local modules = {}
    for path in pipe:lines() do
      local name = path:match("^lua/(.*)%.lua$"):gsub("/init$", ""):gsub("/", ".")
      modules[#modules + 1] = ("%q"):format(name)
    end
    pipe:close()
    local output, ok = process.run_program(([[
      local qhub = require "qhub"
      package.path = ""
      for _, name in ipairs { %s } do
        local ok, message = pcall(require, name)
        if not ok then
          print(name, message)
        end
      end
      for name in pairs(qhub) do
        assert(qhub[name] ~= nil, name)
      end]]):format(table.concat(modules, ", ")))
    assert.equal("", output)
    assert.is_true(ok)
  end)

  it("leaves nothing more in package.searchers when it is loaded anew", function()
    local output = process.run_program [[
      require "qhub"
      local count = #package.searchers
      for name in pairs(package.loaded) do
        if name:find "^qhub" then package.loaded[name] = nil end
      end
      require "qhub"
      print(#package.searchers - count)]]
    assert.equal("0\n", output)
  end)

  it("says what the system says of a module that cannot be opened", function()
    local output = process.run_program [[
      require "qhub"
      print((select(2, pcall(require, "qhub.absent"))))]]
    assert.matches("qhub/absent%.lua: No such file or directory", output)
  end)

  it("loads no more than a status call needs", function()
    local output = process.run_program [[
      require "qhub"
      for _, name in ipairs { "qhub.polling.wait_all", "qhub.files.download", "qhub.progress",
        "qhub.http.failure", "qhub.auth", "qhub.tasks" } do
        if package.loaded[name] then
          print(name)
        end
      end]]
    assert.equal("", output)
  end)
end)

describe("The C module", function()
  it("is enough without the one that only makes the start faster", function()
    local folder = os.tmpname()
    os.remove(folder)
    local core = plain_assert(package.searchpath("qhub.core", package.cpath))
    plain_assert(os.execute(("mkdir -p %s/qhub && cp %s %s/qhub"):format(folder, core, folder)))
    local output = process.run_program(([[
      package.cpath = "%s/?.so"
      print(require("qhub").is_error {}, package.loaded["qhub.lazy"])]]):format(folder))
    os.execute("rm -rf " .. folder)
    assert.equal("false\tnil\n", output)
  end)
end)

describe("An installed library", function()
  local folder

  -- As `make install` leaves the Lua files. `damage`: bytes over the first ones of compiled files.
  local function install(damage)
    plain_assert(os.execute("mkdir -p " .. folder .. " && cp -R lua/qhub " .. folder))
    local pipe = plain_assert(io.popen("cd lua && find qhub -name '*.lua'"))
    local files = pipe:read("a"):gsub("\n", " ")
    pipe:close()
    plain_assert(os.execute("lua5.4 scripts/compile.lua " .. folder .. " " .. files))
    for file in files:gmatch "%S+" do
      local compiled <close> = plain_assert(io.open(folder .. "/" .. file .. "c", "r+b"))
      plain_assert(compiled:write(damage or ""))
    end
  end

  -- Where the functions of a module say that they come from, and what a usage error says.
  local function answers()
    return process.run_program(([[
      package.path = "%s/?.lua;%s/?/init.lua"
      local qhub = require "qhub"
      package.path = ""
      print(debug.getinfo(require("qhub.hub.client").new).short_src)
      print(select(2, pcall(qhub.HubServiceClient, {})))
      local client = qhub.HubServiceClient {
        base_url = "http://localhost", token = "t0ken",
        transport = function() return { status_code = 200, body = '{"status":"RUNNING"}' } end,
      }
      print(client:get_status("id"))]]):format(folder, folder))
  end

  before_each(function()
    folder = os.tmpname()
    os.remove(folder)
  end)

  after_each(function()
    os.execute("rm -rf " .. folder)
  end)

  it("loads compiled modules, whose usage errors name the program's line", function()
    install()
    local source, message, status = answers():match "^(.-)\n(.-)\n(.-)\n$"
    assert.equal("qhub/hub/client.lua", source)
    assert.matches("^/tmp/[^ ]*:5: HubServiceClient: please provide 'token'", message)
    assert.equal("qhub.Execution id RUNNING", status)
  end)

  it("loads the sources when this Lua refuses modules that another one compiled", function()
    install "\27Lua\x53"
    local source, message, status = answers():match "^(.-)\n(.-)\n(.-)\n$"
    assert.equal(folder .. "/qhub/hub/client.lua", source)
    assert.matches("^/tmp/[^ ]*:5: HubServiceClient: please provide 'token'", message)
    assert.equal("qhub.Execution id RUNNING", status)
  end)
end)
