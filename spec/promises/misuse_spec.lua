-- A client that is used from everywhere at once, closed in the midst of what it calls, or left by
-- the end of the program: an error or a result, never a hang, and nothing left behind.
--
-- Each program runs in a process of its own, which is killed, and fails, when it takes too long.

local gateway = require "spec.support.gateway"
local lfs = require "lfs"
local listing = require "spec.support.listing"
local shared = require "spec.support.shared"

local plain_assert = _G.assert

local PROLOGUE = [[
local qhub = require "qhub"
local tasks = qhub.tasks
local base_url, token, id, folder, size = "%s", "%s", "%s", "%s", %d
local function new(changes)
  local options = { base_url = base_url, token = token, timeout = 10 }
  for name, value in pairs(changes or {}) do
    options[name] = value
  end
  return qhub.HubServiceClient(options)
end
]]

local SIZE = 700000 -- more than a file holds ahead of its reader

local server = shared(gateway.start)
local folder, id

setup(function()
  id = server:create(1, {
    simulate = {
      pending_ms = 0,
      running_ms = 0,
      logs = 3,
      files = { ["a.bin"] = SIZE, ["b.bin"] = SIZE, ["c.bin"] = SIZE },
    },
  })[1]
end)

before_each(function()
  folder = os.tmpname()
  os.remove(folder)
  plain_assert(lfs.mkdir(folder))
end)

after_each(function()
  os.execute("rm -rf '" .. folder .. "'")
end)

-- Runs a program; returns what it wrote and its exit status (124 when it took too long).
local function run(text)
  local program = PROLOGUE:format(server.url, server.token, id, folder, SIZE) .. text
  local path = folder .. ".lua"
  local file <close> = plain_assert(io.open(path, "w"))
  file:write(program)
  file:close()
  local form = "LUA_PATH='%s' LUA_CPATH='%s' timeout -k 1 30 lua5.4 '%s' 2>&1"
  local pipe = plain_assert(io.popen(form:format(package.path, package.cpath, path)))
  local output = pipe:read "a"
  local _, _, status = pipe:close()
  os.remove(path)
  return output, status
end

local function assert_runs(text)
  local output, status = run(text)
  assert.equal(0, status, output)
end

describe("coroutines of the program's own", function()
  it("read files of one client side by side, each its own bytes", function()
    local sums = {}
    for _, name in ipairs { "a.bin", "b.bin", "c.bin" } do
      sums[#sums + 1] = ("[%q] = %q"):format(name, server:file(id, name).sha256)
    end
    assert_runs("local sums = { " .. table.concat(sums, ", ") .. " }\n" .. [[
      local digest = require "openssl.digest"
      local client <close> = new()
      local readers, open = {}, 0
      for round = 1, 2 do
        for name, sum in pairs(sums) do
          open = open + 1
          readers[open] = coroutine.wrap(function()
            local hash = digest.new "sha256"
            local options = { chunk_size = 1000 * open }
            for chunk in assert(client:get_result_file(id, name, options)) do
              hash:update(chunk)
              coroutine.yield(true)
            end
            local text = hash:final():gsub(".", function(c)
              return ("%02x"):format(c:byte())
            end)
            assert(text == sum, name)
          end)
        end
      end
      while #readers > 0 do
        local at = math.random(#readers)
        if not readers[at]() then
          table.remove(readers, at)
        end
        assert(math.random(20) > 1 or client:get_status(id))
      end
    ]])
  end)

  it("may be suspended in its token function while others use the client", function()
    assert_runs [[
      local suspends = true
      local client <close> = new {
        token = function()
          if suspends and coroutine.isyieldable() then
            coroutine.yield "asked"
          end
          return token
        end,
      }
      local threads = {}
      for i = 1, 20 do
        threads[i] = coroutine.wrap(function()
          return assert(client:get_status(id)).id
        end)
        assert(threads[i]() == "asked")
        assert(client:get_status(id))
      end
      suspends = false
      for i = 20, 1, -1 do
        assert(threads[i]() == id)
      end
    ]]
  end)

  it("share a loop over the log, and one file, with each other", function()
    assert_runs [[
      local client <close> = new()
      local entries = client:execution(id):follow_logs()
      local file <close> = assert(client:get_result_file(id, "a.bin"))
      local count, bytes = 0, 0
      local function take()
        local entry, chunk = entries(), file:read(999)
        count = count + (entry and 1 or 0)
        bytes = bytes + (chunk and #chunk or 0)
        return chunk
      end
      repeat until not coroutine.wrap(take)()
      assert(count == 3 and bytes == size)
    ]]
  end)

  it("call while tasks of the same client are under way, which then continue", function()
    assert_runs [[
      local client <close> = new()
      local done = {}
      for i = 1, 10 do
        tasks.spawn(function()
          done[i] = #assert(client:get_result_file(id, "a.bin")):read_all()
        end)
      end
      repeat
        coroutine.wrap(function()
          assert(client:get_status(id))
        end)()
      until tasks.step(0) == 0
      for i = 1, 10 do
        assert(done[i] == size)
      end
    ]]
  end)
end)

describe(
  "a client that is closed at any call of its token function, logger or callbacks",
  function()
    -- What may be under way; `on` is called where the operation has a callback of its own.
    local operations = {
      "return client:get_status(id)",
      "return client:get_service_executions()",
      "return client:start_execution {}",
      "return client:run({}, { interval = 0.01, on_status = on })",
      "return client:execution(id):wait { interval = 0.01, on_status = on, progress = on }",
      "return client:wait_all({ client:execution(id) }, { interval = 0.01, on_status = on })",
      "return client:get_result(id)",
      "return client:get_logs(id)",
      "return client:cancel_execution(id)",
      "for _ in assert(client:execution(id):follow_logs { interval = 0.01 }) do on() end",
      "return assert(client:get_result_file(id, 'a.bin')):read_all()",
      "return client:execution(id):download('a.bin', folder, { progress = on })",
    }
    for _, operation in ipairs(operations) do
      it(
        "ends with an error of kind cancelled or a usage error: " .. operation:sub(1, 60),
        function()
          server:fault {
            match = { operation = "get_result_file" },
            times = -1,
            fault = { random_break = SIZE },
          }
          assert_runs([[
        local at, calls, client = 0, 0, nil
        local function on()
          calls = calls + 1
          if calls == at then
            client:close()
          end
        end
        local function operate()
          ]] .. operation .. [[

        end
        repeat
          at, calls = at + 1, 0
          client = new {
            max_retries = 1,
            logging = { level = "debug", logger = on },
            on_response = on,
            token = function()
              on()
              return token
            end,
          }
          local ok, value, err = pcall(operate)
          local was_closed = calls >= at
          err = not ok and value or err
          if was_closed and qhub.is_error(err) then
            assert(err.kind == "cancelled", tostring(err))
          elseif was_closed and not ok then
            assert(tostring(err):find "closed", tostring(err))
          end
          assert(not was_closed or not pcall(client.get_status, client, id))
        until not was_closed or at == 40
        assert(at > 2, at)
      ]])
          for _, name in ipairs(listing.names(folder)) do
            assert.equal("a.bin", name)
          end
        end
      )
    end
  end
)

describe("the end of the program", function()
  local ways = {
    ["os.exit(true, true)"] = 0,
    ["os.exit(true, false)"] = 0,
    ["error('enough')"] = 1,
    ["error(setmetatable({}, { __name = 'problem' }))"] = 1,
  }
  local places = {
    ["in a loop over a file"] = [[
      for chunk in assert(client:get_result_file(id, "a.bin")) do
        leave()
      end
    ]],
    ["in the progress of a download"] = [[
      client:execution(id):download("a.bin", folder, { progress = leave })
    ]],
    ["in a coroutine within a download"] = [[
      assert(coroutine.close(coroutine.create(print)))
      local ok, err = coroutine.resume(coroutine.create(function()
        client:execution(id):download("a.bin", folder, { progress = leave })
      end))
      error(err, 0)
    ]],
    ["while tasks download"] = [[
      tasks.run(function()
        local here = 0
        for i = 1, 3 do
          tasks.spawn(function()
            local path = folder .. "/" .. i
            client:execution(id):download("a.bin", path, {
              progress = function()
                here = here + 1
              end,
            })
          end)
        end
        repeat
          tasks.sleep(0)
        until here > 1
        leave()
      end)
    ]],
    ["in the token function of a retry"] = [[
      local calls = 0
      local other <close> = new {
        token = function()
          calls = calls + 1
          if calls > 1 then
            leave()
          end
          return "wrong"
        end,
      }
      other:get_status(id)
    ]],
  }
  for way, expected in pairs(ways) do
    for place, text in pairs(places) do
      it(("by %s %s is at once, and leaves no part of a file"):format(way, place), function()
        local program = ("local client = new()\nlocal function leave() %s end\n"):format(way)
        local output, status = run(program .. text .. "error 'not reached'")
        assert.equal(expected, status, output)
        assert.is_nil(output:find "not reached", output)
        -- Without closing its state a program has no chance to tidy up.
        if not way:find "false" then
          for _, name in ipairs(listing.names(folder)) do
            assert.matches("^[a1-3]", name, output)
          end
        end
      end)
    end
  end
end)
