-- qhub as a contender: one measurement of a process of its own.
--
--   qhub.lua status BASE ID COUNT           one status after the other
--   qhub.lua start BASE ID BYTES COUNT      starts with a body of BYTES, one after the other
--   qhub.lua upload BASE ID COUNT           starts with a body of 4.8 MB of doubles
--   qhub.lua save BASE ID NAME PATH         a result file, downloaded to PATH
--   qhub.lua statuses BASE ID COUNT [CA]    one task for each; HTTP/2 when a CA file is given
--   qhub.lua file BASE ID NAME              a result file, chunk by chunk
--   qhub.lua pipe BASE ID NAME              the same, written to standard output
--   qhub.lua scale BASE TOKEN COUNT HOW     COUNT runs started, waited for, results read; HOW is
--                                           "wait_all" or "tasks"

local qhub = require "qhub"

local modes = {}

function modes.status(base, id, count)
  local client = qhub.HubServiceClient { base_url = base, token = "demo-token" }
  for _ = 1, tonumber(count) do
    assert(assert(client:get_status(id)).status == "SUCCEEDED")
  end
end

function modes.start(base, _, bytes, count)
  local client = qhub.HubServiceClient { base_url = base, token = "demo-token" }
  local body = require("bench.bodies").text(tonumber(bytes))
  for _ = 1, tonumber(count) do
    assert(assert(client:start_execution(body)).status == "SUCCEEDED")
  end
end

function modes.upload(base, _, count)
  local client = qhub.HubServiceClient { base_url = base, token = "demo-token" }
  local body = require("bench.bodies").doubles(250000)
  for _ = 1, tonumber(count) do
    assert(client:start_execution(body))
  end
end

function modes.save(base, id, name, path)
  local client = qhub.HubServiceClient { base_url = base, token = "demo-token" }
  assert(client:execution(id):download(name, path))
end

function modes.statuses(base, id, count, ca_file)
  local client =
    qhub.HubServiceClient { base_url = base, token = "demo-token", http = { ca_file = ca_file } }
  qhub.tasks.run(function()
    for _ = 1, tonumber(count) do
      qhub.tasks.spawn(function()
        assert(assert(client:get_status(id)).status == "SUCCEEDED")
      end)
    end
  end)
end

function modes.file(base, id, name)
  local client = qhub.HubServiceClient { base_url = base, token = "demo-token" }
  local total = 0
  for chunk in assert(client:get_result_file(id, name)) do
    total = total + #chunk
  end
  print(total)
end

function modes.pipe(base, id, name)
  local client = qhub.HubServiceClient { base_url = base, token = "demo-token" }
  for chunk in assert(client:get_result_file(id, name)) do
    assert(io.write(chunk))
  end
end

local function start(client, bodies)
  local executions = {}
  qhub.tasks.run(function()
    for i, body in ipairs(bodies) do
      qhub.tasks.spawn(function()
        executions[i] = assert(client:start_execution(body))
      end)
    end
  end)
  return executions
end

function modes.scale(base, token, count, how)
  local client = qhub.HubServiceClient { base_url = base, token = token }
  local bodies, read = {}, 0
  for i = 1, tonumber(count) do
    bodies[i] = { input = { number = i }, simulate = { pending_ms = 500, running_ms = 500 } }
  end
  local function read_result(execution)
    assert(assert(execution:result())._embedded.status.status == "SUCCEEDED")
    read = read + 1
  end
  if how == "wait_all" then
    local executions = assert(client:wait_all(start(client, bodies)))
    qhub.tasks.run(function()
      for _, execution in ipairs(executions) do
        qhub.tasks.spawn(read_result, execution)
      end
    end)
  else
    qhub.tasks.run(function()
      for _, body in ipairs(bodies) do
        qhub.tasks.spawn(function()
          read_result(assert(assert(client:start_execution(body)):wait()))
        end)
      end
    end)
  end
  assert(read == #bodies)
end

modes[arg[1]](table.unpack(arg, 2))
