-- A child of fork() and its parent's client: never the parent's connection, never a hang.
--
-- Each program runs in a process of its own, against a simulator over TLS, where a byte out of
-- order ends the connection. `child(fn)` runs fn in a forked child and returns its exit status.

local gateway = require "spec.support.gateway"
local lfs = require "lfs"
local process = require "spec.support.process"
local shared = require "spec.support.shared"

local plain_assert = _G.assert

local PROLOGUE = [[
local forking = package.loadlib("%s", "luaopen_forking")()
local qhub = require "qhub"
local options = {
  base_url = "%s", token = "%s", http = { ca_file = "%s" }, max_retries = 0, timeout = 10,
}
local client = qhub.HubServiceClient(options)
local execution = assert(client:start_execution { simulate = { files = { ["a.bin"] = 3000000 } } })
assert(execution:wait { interval = 0.02 })
local function child(fn)
  local id = forking.fork()
  if id == 0 then
    local ok, message = pcall(fn)
    if not ok then
      io.stderr:write(tostring(message), "\n")
    end
    forking.leave(ok and 0 or 1)
  end
  return forking.wait(id)
end
]]

describe("a child of fork()", function()
  local server = shared(gateway.start, { tls = true, set = { "pending_ms=0", "running_ms=20" } })
  local folder

  setup(function()
    folder = os.tmpname()
    os.remove(folder)
    plain_assert(lfs.mkdir(folder))
    local flags = "$(pkg-config --cflags lua5.4 2>/dev/null || pkg-config --cflags lua)"
    local command = "LD_PRELOAD= ${CC:-cc} -shared -fPIC %s spec/host/forking.c -o '%s/forking.so'"
    plain_assert(os.execute(command:format(flags, folder)))
  end)

  teardown(function()
    os.execute("rm -r " .. folder)
  end)

  -- Runs the program; fails unless it ends well, in time, over so many connections: by default the
  -- parent's two, since a start has one of its own.
  local function run(text, connections)
    local before = server:requests().connections.total
    local values = { folder .. "/forking.so", server.url, server.token, server.ca_file }
    -- A child leaves its parent's objects of libcurl alone, which a sanitizer takes for leaks.
    local program = PROLOGUE:format(table.unpack(values)) .. text
    local output, ok = process.run_program(program, "ASAN_OPTIONS=detect_leaks=0")
    plain_assert(ok, output)
    assert.equal(connections or 2, server:requests().connections.total - before, output)
  end

  it("gets an error for the parent's client, whose connection continues", function()
    run [[
      assert(child(function()
        local _, err = client:get_status(execution.id)
        assert(err.kind == "cancelled" and tostring(err):find("fork()", 1, true), tostring(err))
      end) == 0)
      assert(client:get_status(execution.id))
    ]]
  end)

  it("closes and collects its parent's objects without harm", function()
    run [[
      assert(child(function()
        client:close()
        client, execution = nil, nil
        collectgarbage()
        collectgarbage()
      end) == 0)
      assert(client:get_status(execution.id))
    ]]
  end)

  it("can use a client of its own", function()
    run(
      [[
      assert(child(function()
        local own <close> = qhub.HubServiceClient(options)
        assert(own:get_status(execution.id).status == "SUCCEEDED")
      end) == 0)
      assert(client:get_status(execution.id))
    ]],
      3
    )
  end)

  it("reads nothing of its parent's download, which completes", function()
    run(
      [[
      local file = assert(client:get_result_file(execution.id, "a.bin"))
      local size = #assert(file:read(1000))
      assert(child(function()
        local err
        repeat
          local chunk
          chunk, err = file:read(100000) -- at first what is in memory already
        until not chunk
        assert(err.kind == "cancelled", tostring(err))
        file:close()
      end) == 0)
      assert(size + #assert(file:read_all()) == 3000000)
    ]],
      2 -- a stream goes over that of the start
    )
  end)

  it("does not wait for its parent's transfers", function()
    run [[
      local engine = require("qhub.core").engine()
      local session = engine:session {}
      local transfer = session:start(session:prepare {
        method = "GET", header_lines = "", timeout = 9, connect_timeout = 9,
      }, "http://127.0.0.1:9/")
      assert(child(function()
        assert(engine:wait(transfer))
        assert(transfer:failure() == "cancelled")
      end) == 0)
    ]]
  end)

  it("can exit within a task and while a state is closed", function()
    run [[
      qhub.tasks.run(function()
        local task = qhub.tasks.spawn(client.get_status, client, execution.id)
        qhub.tasks.sleep(0)
        local id = forking.fork()
        if id == 0 then
          os.exit(7, true)
        end
        assert(forking.wait(id) == 7)
        assert(task:join().id == execution.id)
      end)
    ]]
  end)
end)
