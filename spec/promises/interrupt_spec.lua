-- Ctrl-C under the stock interpreter: wherever a program waits, it ends at once with the
-- interpreter's own message and status, and leaves nothing behind.

local gateway = require "spec.support.gateway"
local lfs = require "lfs"
local listing = require "spec.support.listing"
local loop = require "qhub.tasks.loop"
local process = require "spec.support.process"
local scripted = require "spec.support.scripted"
local shared = require "spec.support.shared"

-- Generous, since the machine may be busy; it takes about 10 ms.
local AT_ONCE = 1

-- What every program begins with; it is told its own settings as G.
local PREAMBLE = [[
local qhub = require "qhub"
local G = { url = %q, token = %q, origin = %q, id = %q, done = %q, folder = %q, scripted = %q }
local function client(options)
  local o = { base_url = G.url, token = G.token, timeout = 50 }
  for name, value in pairs(options or {}) do
    o[name] = value
  end
  return qhub.HubServiceClient(o)
end
io.stdout:setvbuf "line"
print "READY"
]]

describe("Ctrl-C #process", function()
  local server = shared(gateway.start)
  local script_server = shared(scripted.start)
  local folder, id, done

  setup(function()
    folder = os.tmpname()
    os.remove(folder)
    lfs.mkdir(folder)
  end)

  teardown(function()
    lfs.rmdir(folder)
  end)

  before_each(function()
    id = server:create(1, { simulate = { running_ms = 1000000 } })[1]
    local files = { ["result.bin"] = 3000000 }
    done = server:create(1, { simulate = { pending_ms = 0, running_ms = 0, files = files } })[1]
  end)

  -- What a process does, in one letter: "S": it sleeps, as in a wait; "Z": it has ended.
  local function state_of(child)
    local stat <close> = assert(io.open(("/proc/%d/stat"):format(child.pid)))
    return stat:read("a"):match "%) (%u)"
  end

  -- Waits until `condition()`; a program that does not get there is ended.
  local function await(child, condition, what)
    local give_up = loop.now() + 10
    repeat
      if loop.now() > give_up then
        child:signal "KILL"
        error(("the program did not %s: %s"):format(what, child:wait()))
      end
    until condition()
  end

  -- Runs a program, interrupts it when it has come to `is_there()` and sleeps (or, if `busy`, does
  -- anything at all), and checks its end. Returns the seconds that it took to end.
  local function interrupt(program, is_there, busy)
    local path = os.tmpname()
    local file = assert(io.open(path, "w"))
    file:write(
      PREAMBLE:format(server.url, server.token, server.origin, id, done, folder, script_server.url),
      program
    )
    file:close()
    local environment = ("LUA_PATH='%s' LUA_CPATH='%s'"):format(package.path, package.cpath)
    local child = process.start(("env %s lua5.4 %s 2>&1"):format(environment, path))
    await(child, function()
      return (not is_there or is_there()) and (busy or state_of(child) == "S")
    end, "come to its wait")
    local began = loop.now()
    child:signal "INT"
    await(child, function()
      return state_of(child) == "Z"
    end, "end")
    local seconds = loop.now() - began
    local output, ok, how, status = child:wait()
    os.remove(path)
    assert.matches("interrupted!", output)
    assert.is_nil(ok)
    assert.equal("exit", how)
    assert.equal(1, status)
    assert.is_true(seconds < AT_ONCE, seconds)
    assert.same({}, listing.names(folder))
    return seconds
  end

  local function asked(operation, count)
    return function()
      return (server:requests().operations[operation] or 0) >= (count or 1)
    end
  end

  local function hang(operation, what, after)
    server:fault {
      match = { operation = operation },
      times = -1,
      fault = { hang = what, after = after },
    }
  end

  it("ends the wait for a connection", function()
    -- A server that never takes part in the TLS handshake.
    script_server:play { { accept = true }, { hang = true } }
    interrupt([[client { base_url = G.scripted:gsub("^http:", "https:") }:get_status(G.id)]])
  end)

  it("ends the wait for a response", function()
    hang("get_status", "headers")
    interrupt("client():get_status(G.id)", asked "get_status")
  end)

  it("ends a stalled upload", function()
    script_server:play { { unread = true }, { pause = 20000 } }
    interrupt(
      [[client { base_url = G.scripted }:start_execution { blob = ("x"):rep(50000000) }]],
      function()
        return #script_server:requests() == 1
      end
    )
  end)

  it("ends a stalled file", function()
    hang("get_result_file", "body", 100000)
    interrupt(
      [[for _ in assert(client():get_result_file(G.done, "result.bin")) do end]],
      asked "get_result_file"
    )
  end)

  it("ends a stalled download, and leaves no file", function()
    hang("get_result_file", "body", 100000)
    interrupt(
      [[client():execution(G.done):download("result.bin", G.folder .. "/saved")]],
      function()
        return #listing.names(folder) == 1
      end
    )
  end)

  it("ends a running download, and leaves no file", function()
    server:fault { times = -1, fault = { drip = { bytes = 1000, ms = 1 } } }
    interrupt(
      [[client():execution(G.done):download("result.bin", G.folder .. "/saved")]],
      function()
        return #listing.names(folder) == 1
      end
    )
  end)

  it("ends the wait before a retry", function()
    server:fault { times = -1, fault = { status = 503, headers = { ["Retry-After"] = "30" } } }
    interrupt("client():get_status(G.id)", asked "get_status")
  end)

  it("ends the wait for an execution", function()
    interrupt("client():execution(G.id):wait { interval = 30 }", asked("get_status", 2))
  end)

  it("ends the wait for several executions", function()
    interrupt(
      [[
        local c = client()
        c:wait_all({ c:execution(G.id) }, { interval = 30 })
      ]],
      asked("get_status", 2)
    )
  end)

  it("ends a run", function()
    interrupt("client():run({ molecule = 'H2' }, { interval = 30 })", asked("get_status", 2))
  end)

  it("ends follow_logs", function()
    interrupt(
      "for _ in client():execution(G.id):follow_logs { interval = 30 } do end",
      asked "get_logs"
    )
  end)

  it("ends a token exchange", function()
    server:fault { match = { method = "POST" }, times = -1, fault = { hang = "headers" } }
    interrupt(
      [[
        client {
          token = qhub.credentials.client_credentials {
            access_key_id = "demo-key",
            secret_access_key = "demo-secret",
            token_endpoint = G.origin .. "/token",
          },
        }:get_status(G.id)
      ]],
      function()
        return server:requests().total == 1
      end
    )
  end)

  it("ends all tasks, and closes their resources", function()
    hang("get_result_file", "body", 100000)
    hang("get_status", "headers")
    interrupt(
      [[
        qhub.tasks.run(function()
          local c = client()
          for number = 1, 5 do
            qhub.tasks.spawn(function()
              c:execution(G.done):download("result.bin", G.folder .. "/saved" .. number)
            end)
            qhub.tasks.spawn(c.get_status, c, G.id)
          end
          qhub.tasks.sleep(30)
        end)
      ]],
      function()
        return #listing.names(folder) == 5 and asked("get_status", 5)()
      end
    )
  end)

  it("ends a wait in the program's own coroutine", function()
    hang("get_status", "headers")
    interrupt(
      [[
        coroutine.wrap(function()
          client():get_status(G.id)
        end)()
      ]],
      asked "get_status"
    )
  end)

  it("ends a program that makes call after call, in a coroutine or not", function()
    local calls = "local c = client() while true do assert(c:get_status(G.id)) end"
    for _ = 1, 3 do
      server:clear()
      interrupt(calls, asked("get_status", 20), true)
      interrupt("coroutine.wrap(function() " .. calls .. " end)()", asked("get_status", 40), true)
    end
  end)

  it("ends a wait in a coroutine within a task, and leaves no file", function()
    hang("get_result_file", "body", 100000)
    interrupt(
      [[
        qhub.tasks.run(function()
          coroutine.wrap(function()
            client():execution(G.done):download("result.bin", G.folder .. "/saved")
          end)()
        end)
      ]],
      function()
        return #listing.names(folder) == 1
      end
    )
  end)

  it("in a coroutine is an ordinary error, raised once", function()
    hang("get_status", "headers")
    interrupt(
      [[
        local thread = coroutine.create(function()
          client():get_status(G.id)
        end)
        local ok, message = coroutine.resume(thread)
        assert(not ok)
        local count = 0
        for _ = 1, 1000 do
          count = count + 1
        end
        assert(count == 1000)
        error(message, 0)
      ]],
      asked "get_status"
    )
  end)
end)
