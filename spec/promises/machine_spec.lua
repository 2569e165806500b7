-- What a machine does to a program: it has few descriptors, or is stopped for a while. More of it
-- is in scripts/conformance/machine.lua.

local gateway = require "spec.support.gateway"
local process = require "spec.support.process"
local shared = require "spec.support.shared"

describe("a program", function()
  local server = shared(gateway.start, { set = { "pending_ms=0", "running_ms=0" } })
  local id

  setup(function()
    id = server:create(1, { simulate = { files = { ["a.bin"] = 100000 } } })[1]
  end)

  local PROLOGUE = [[
    local qhub = require "qhub"
    local id = "%s"
    local options = { base_url = "%s", token = "%s", timeout = %s, max_retries = 0 }
    local client = qhub.HubServiceClient(options)
  ]]

  local function assert_runs(text, timeout, shell)
    local program = PROLOGUE:format(id, server.url, server.token, timeout) .. text
    local form = [[timeout -k 1 30 sh -c '%s exec "$@"' sh]]
    local output, ok = process.run_program(program, form:format(shell))
    assert.is_true(ok, output)
  end

  it("with few descriptors keeps some for its own files and modules #process", function()
    assert_runs(
      [[
      local opened, refused = 0, 0
      qhub.tasks.run(function()
        for _ = 1, 40 do
          qhub.tasks.spawn(function()
            local file, err = client:get_result_file(id, "a.bin")
            assert(io.open "/dev/null"):close()
            if file then
              opened = opened + 1
              qhub.tasks.sleep(0.1)
              file:close()
            else
              assert(tostring(err):find "too many open files", tostring(err))
              refused = refused + 1
            end
          end)
        end
      end)
      assert(opened > 10 and refused > 0 and opened + refused == 40, opened)
    ]],
      10,
      "ulimit -n 40;"
    )
  end)

  it("with few descriptors downloads many files in tasks, most of which wait #process", function()
    assert_runs(
      [[
      options.http = { max_connections = 8 }
      client = qhub.HubServiceClient(options)
      local path = os.tmpname()
      local saved = 0
      qhub.tasks.run(function()
        for i = 1, 100 do
          qhub.tasks.spawn(function()
            qhub.tasks.sleep(0.1)
            assert(client:execution(id):download("a.bin", path .. i))
            saved = saved + 1
            os.remove(path .. i)
          end)
        end
      end)
      os.remove(path)
      assert(saved == 100)
    ]],
      10,
      "ulimit -n 50;"
    )
  end)

  it(
    "that was stopped for longer than the timeout reads on what came meanwhile #process",
    function()
      local drip = { drip = { bytes = 5000, ms = 20 } }
      server:fault { match = { operation = "get_result_file" }, fault = drip }
      -- A signal that comes within the wait for the network; the file takes 0.4 s.
      assert_runs(
        [[
      local file = assert(client:get_result_file(id, "a.bin"))
      local size = #assert(file:read(1))
      local pid = io.open("/proc/self/stat"):read "n"
      os.execute(("(sleep 0.1; kill -STOP %d; sleep 1.5; kill -CONT %d) &"):format(pid, pid))
      for chunk in file do
        size = size + #chunk
      end
      assert(size == 100000, size)
    ]],
        1,
        ""
      )
    end
  )
end)
