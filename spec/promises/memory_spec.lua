-- Memory: what is done often leaves nothing behind, and nothing keeps alive what nobody uses.
-- Lua's memory is measured here; that of C, and what happens when there is none, in spec/host.

local gateway = require "spec.support.gateway"
local listing = require "spec.support.listing"
local loop = require "qhub.tasks.loop"
local qhub = require "qhub"
local shared = require "spec.support.shared"

local tasks = qhub.tasks
local plain_assert = _G.assert

local function collect()
  collectgarbage()
  collectgarbage()
end

-- Bytes that Lua holds when all garbage is gone. Stacks become smaller with each cycle.
local function held()
  collect()
  collect()
  return math.floor(collectgarbage "count" * 1024)
end

local ROUNDS, TIMES = 5, 20
local SLACK = 2048 -- bytes in a round

-- Asserts that doing `act` again and again leaves neither memory nor descriptors taken. What leaks
-- does so in every round; the number of kept connections and the sizes of stacks may change in one.
local function leaves_nothing(act)
  local grown, opened
  for _ = 1, ROUNDS do
    local bytes, open = held(), listing.descriptors()
    for _ = 1, TIMES do
      act()
    end
    grown, opened = held() - bytes, listing.descriptors() - open
    assert.equal(0, loop.engine():active())
    if grown <= SLACK and opened <= 0 then return end
  end
  error(("%d bytes and %d descriptors more, %d rounds long"):format(grown, opened, ROUNDS), 2)
end

describe("memory", function()
  local server = shared(gateway.start)
  local client, id

  setup(function()
    client = qhub.HubServiceClient { token = server.token, base_url = server.url, max_retries = 0 }
    id = server:create(1, {
      simulate = { pending_ms = 0, running_ms = 0, logs = 5, files = { ["a.bin"] = 300000 } },
    })[1]
  end)

  teardown(function()
    client:close()
  end)

  describe("is released after", function()
    it("calls that succeed", function()
      leaves_nothing(function()
        plain_assert(client:get_status(id))
        plain_assert(client:get_result(id))
        plain_assert(client:get_logs(id))
        plain_assert(client:get_service_executions())
      end)
    end)

    it("calls that fail", function()
      leaves_nothing(function()
        assert.equal("api", select(2, client:get_status "none").kind)
        assert.is_false(pcall(client.get_status, client, ""))
        assert.is_false(pcall(client.start_execution, client, { input = { print } }))
      end)
    end)

    it("calls without a response", function()
      local nobody = qhub.HubServiceClient {
        token = "t",
        base_url = "http://127.0.0.1:1/",
        max_retries = 0,
        http = { proxy = false },
      }
      leaves_nothing(function()
        assert.equal("network", select(2, nobody:get_status(id)).kind)
      end)
      nobody:close()
    end)

    it("connections that break", function()
      leaves_nothing(function()
        server:fault { fault = { reset = "headers" } }
        assert.equal("network", select(2, client:get_status(id)).kind)
      end)
    end)

    it("files that are read, left early, and dropped", function()
      leaves_nothing(function()
        assert.equal(300000, #plain_assert(client:get_result_file(id, "a.bin")):read_all())
        for chunk in plain_assert(client:get_result_file(id, "a.bin")) do
          if #chunk > 0 then break end
        end
        plain_assert(client:get_result_file(id, "a.bin"))
        collect()
      end)
    end)

    it("clients that are created and closed", function()
      leaves_nothing(function()
        local one = qhub.HubServiceClient {
          token = server.token,
          base_url = server.url,
          http = { max_connections = 3 },
        }
        plain_assert(one:get_status(id))
        one:close()
      end)
    end)

    it("tasks that end in any way", function()
      leaves_nothing(function()
        tasks.run(function()
          local failing = tasks.spawn(error, "on purpose")
          tasks.gather { failing, tasks.spawn(client.get_status, client, id) }
          local asleep = tasks.spawn(pcall, tasks.sleep, 3600)
          local new = tasks.spawn(client.get_status, client, id)
          local calling = tasks.spawn(client.get_status, client, id)
          tasks.sleep(0)
          for _, task in ipairs { asleep, new, calling } do
            task:cancel()
          end
        end)
        pcall(tasks.run, function()
          tasks.spawn(tasks.sleep, 3600)
          tasks.spawn(client.get_status, client, id)
          tasks.sleep(0)
          error "on purpose"
        end)
      end)
    end)

    it("waits and loops over logs", function()
      leaves_nothing(function()
        local execution = client:execution(id)
        plain_assert(execution:wait())
        for _ in execution:follow_logs() do
        end
        plain_assert(client:wait_all { client:execution(id), client:execution(id) })
      end)
    end)

    it("JSON that is read, written and refused", function()
      local text = '{"list":[' .. ('{"a":[1,2.5,"\\u00e9",null]},'):rep(2000) .. "{}]}"
      leaves_nothing(function()
        assert.equal(2001, #plain_assert(qhub.json.decode(text)).list)
        assert.is_nil(qhub.json.decode(text:sub(1, -2)))
        assert.is_string(qhub.json.encode(qhub.json.decode(text)))
        assert.is_false(pcall(qhub.json.encode, { { 1, { 2, 0 / 0 } } }))
      end)
    end)

    it("thousands of tasks in one run", function()
      local function run()
        local count = 0
        tasks.run(function()
          for _ = 1, 5000 do
            tasks.spawn(function()
              tasks.sleep(0)
              count = count + 1
            end)
          end
        end)
        assert.equal(5000, count)
      end
      for _ = 1, 3 do
        run() -- tables keep the size that they have grown to, and some coroutines are kept
      end
      local bytes = held()
      run()
      assert.is_true(held() - bytes <= SLACK)
    end)
  end)

  describe("is not kept for", function()
    -- Asserts that what `make` returns is collected.
    local function is_collected(make)
      local weak = setmetatable({ make() }, { __mode = "v" })
      collect()
      assert.is_nil(weak[1])
    end

    it("a client that was dropped", function()
      is_collected(function()
        local one = qhub.HubServiceClient { token = server.token, base_url = server.url }
        plain_assert(one:get_status(id))
        return one
      end)
    end)

    it("a client whose call was cancelled while it slept", function()
      is_collected(function()
        local one = qhub.HubServiceClient { token = server.token, base_url = server.url }
        tasks.run(function()
          local busy = { status = 503, headers = { ["Retry-After"] = "30" } }
          server:fault { times = -1, fault = busy }
          tasks.spawn(one.get_status, one, id)
          repeat
            tasks.sleep(0.001)
          until server:requests().total > 0
          one:close()
        end)
        return one
      end)
    end)

    it("an execution that was dropped", function()
      is_collected(function()
        return plain_assert(client:get_status(id))
      end)
    end)

    it("a result while its execution is in use", function()
      local execution
      is_collected(function()
        local result = plain_assert(client:get_result(id))
        execution = result.embedded.status
        return result
      end)
      assert.equal(id, execution.id)
    end)

    it("a task that has ended or was cancelled asleep", function()
      is_collected(function()
        return tasks.run(function()
          return tasks.spawn(client.get_status, client, id)
        end)
      end)
      is_collected(function()
        return tasks.run(function()
          local task = tasks.spawn(pcall, tasks.sleep, 3600)
          tasks.sleep(0)
          task:cancel()
          return task
        end)
      end)
    end)

    it("what a task's function referred to", function()
      local kept
      is_collected(function()
        local big = {}
        kept = tasks.run(function()
          local task = tasks.spawn(function(value)
            tasks.sleep(0)
            return value ~= nil
          end, big)
          return task
        end)
        return big
      end)
      assert.is_true(kept:join())
    end)

    it("a file that was read to its end", function()
      is_collected(function()
        local file = plain_assert(client:get_result_file(id, "a.bin"))
        plain_assert(file:read_all())
        return file
      end)
    end)
  end)
end)
