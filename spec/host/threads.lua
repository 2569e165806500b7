-- What each state of threads.c does for a while: everything that could meet another state below
-- Lua. Arguments: the thread's number, how many states it had before, seconds to go on for. Returns
-- how many rounds it made; raises when a response is not the one that this state must get. Leaves a
-- file, a task and a call open for lua_close to find.

local thread, state, duration = ...

local core = require "qhub.core"
local qhub = require "qhub"

local base_url, token = os.getenv "QHUB_BASE_URL", os.getenv "QHUB_TOKEN"
local null = qhub.json.null

local function new_client(connections)
  return qhub.HubServiceClient {
    base_url = base_url,
    token = function()
      return token
    end,
    http = { max_connections = connections },
  }
end

local function equal(actual, expected)
  if actual ~= expected then
    error(("thread %d: expected %s, got %s"):format(thread, expected, actual), 2)
  end
end

local round = 0
local until_ = core.system.monotonic() + duration
local shared = new_client(4)
local left_open = {}

repeat
  round = round + 1
  local mark = ("t%d-s%d-r%d"):format(thread, state, round)
  local client <close> = round % 3 == 0 and new_client(1 + round % 5) or shared
  if client == shared then
    shared = new_client(4) -- the other one is closed at the end of this round
  end

  -- A run, whose body comes back as it was sent.
  local body = { input = { mark = mark, list = { 1, 2.5, null, { mark } } } }
  body.simulate =
    { id = mark, pending_ms = 0, running_ms = 0, echo = true, files = { ["a.bin"] = 70000 } }
  local execution = assert(client:start_execution(body))
  equal(execution.id, mark)
  equal(assert(client:get_status(mark)).id, mark)
  local result = assert(execution:result())
  equal(result.embedded.status.id, mark)

  -- A file, whole and in part.
  local size = 0
  for chunk in assert(execution:result_file("a.bin", { chunk_size = 20000 })) do
    size = size + #chunk
  end
  equal(size, 70000)
  local file = assert(execution:result_file "a.bin")
  equal(#assert(file:read(1000)) > 0, true)
  left_open[1] = file

  -- JSON, errors, several at once.
  local text = qhub.json.encode(body)
  equal(qhub.json.encode(qhub.json.decode(text).input.list), '[1,2.5,null,["' .. mark .. '"]]')
  local nothing, err = client:get_status(mark .. "-not-there")
  equal(nothing, nil)
  equal(err.status_code, 404)
  equal(pcall(client.get_status, client, ""), false)
  equal(select("#", qhub.parse_timestamp "no time"), 2)
  local results, errors = qhub.tasks.run(function()
    local list = {}
    for index = 1, 4 do
      list[index] = qhub.tasks.spawn(client.get_status, client, mark)
    end
    return qhub.tasks.gather(list)
  end)
  equal(errors, nil)
  equal(results[4].id, mark)
until core.system.monotonic() >= until_

left_open[2] = qhub.tasks.spawn(shared.get_service_executions, shared)
left_open[3] = qhub.tasks.spawn(qhub.tasks.sleep, 3600)
qhub.tasks.step(0)
return round, left_open
