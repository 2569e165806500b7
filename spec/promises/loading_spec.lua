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
