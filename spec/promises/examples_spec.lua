-- Every example runs to its end against the simulator and prints what its reader waits for.
--
-- All of them are started at once, and then read one after the other.

local gateway = require "spec.support.gateway"
local shared = require "spec.support.shared"

local plain_assert = _G.assert

local VERIFIED = "SHA%-256 verified:? %x+\n"

-- What is run: arguments, and Lua patterns that the output has in this order.
local EXAMPLES = {
  quickstart = { output = { "%[1/5%] Start", "SUCCEEDED", "energy %-1%.1", VERIFIED } },
  batch = { arguments = "12", output = { "12 distances", "12 of 12 runs succeeded", "lowest" } },
  watch = {
    arguments = "6",
    output = { "PENDING", "RUNNING", "SUCCEEDED", "FAILED" },
  },
  follow = { output = { "0%.000 s  INFO", "energy = ", "SUCCEEDED\n$" } },
  download = { output = { "interrupted after", "the same call again", VERIFIED } },
  credentials = { output = { "0%.600 Å: %-1", "0%.735 Å: %-1", "0%.900 Å: %-1" } },
  mock = { output = { "ok   the energy", "ok   a run", "ok   a gateway", "ok   a token" } },
  cqueues_loop = { output = { "bond length", "energy %-", "its own work %d+ times" } },
  luv_loop = { output = { "bond length", "energy %-", "own work %d+ times" } },
  frame_loop = { output = { "energy %-1%.%d+ after %d+ frames" } },
}

describe("example", function()
  local server = shared(gateway.start, { set = { "pending_ms=100", "running_ms=400" } })
  local runs

  setup(function()
    runs = {}
    for name, example in pairs(EXAMPLES) do
      local environment = "QHUB_BASE_URL=" .. server.url .. " QHUB_TOKEN=" .. server.token
      local words =
        { environment, "lua5.4 examples/" .. name .. ".lua", example.arguments or "", "2>&1" }
      local command = table.concat(words, " ")
      runs[name] = plain_assert(io.popen(command))
    end
  end)

  teardown(function()
    for _, run in pairs(runs) do
      run:close()
    end
  end)

  for name, example in pairs(EXAMPLES) do
    it(name .. ".lua runs to its end and shows what it is about", function()
      local run = runs[name]
      runs[name] = nil
      local text = run:read "a"
      local ok = run:close()
      assert.is_true(ok, text)
      local from = 1
      for _, pattern in ipairs(example.output) do
        local _, last = text:find(pattern, from)
        plain_assert(last, "no " .. pattern .. " in:\n" .. text)
        from = last
      end
      assert.is_nil(text:find "\27", text) -- plain where there is no terminal
    end)
  end

  it("has every file listed here and in the README", function()
    local readme = plain_assert(io.open "examples/README.md"):read "a"
    local listed = {}
    for path in plain_assert(io.popen "ls examples/*.lua"):lines() do
      local name = path:match "([%w_]+)%.lua$"
      listed[name] = true
      plain_assert(EXAMPLES[name] or name == "luv_loop", name .. " is not run by this spec")
      plain_assert(readme:find("[" .. name .. ".lua]", 1, true), name .. " is not in the README")
    end
    for name in pairs(EXAMPLES) do
      plain_assert(listed[name], "there is no example " .. name)
    end
  end)

  it("says in its head how it is run, and which variable is missing", function()
    for name in pairs(EXAMPLES) do
      local path = "examples/" .. name .. ".lua"
      local text = plain_assert(io.open(path)):read "a"
      plain_assert(text:find("lua5.4 " .. path, 1, true), path)
      if text:find 'getenv "QHUB_BASE_URL"' then
        local run =
          plain_assert(io.popen("env -u QHUB_BASE_URL -u QHUB_TOKEN lua5.4 " .. path .. " 2>&1"))
        local said = run:read "a"
        assert.is_nil((run:close()))
        assert.matches("set QHUB_BASE_URL", said, 1, true)
      end
    end
  end)
end)
