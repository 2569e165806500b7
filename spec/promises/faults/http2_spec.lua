-- HTTP/2, which nginx speaks in front of a server that fails: the same promises as over HTTP/1.1.
-- (Files go over HTTP/1.1 all the same, and nginx passes on what happens to them.)

local calls = require "spec.support.calls"
local client_of = require "spec.support.client_of"
local gateway = require "spec.support.gateway"
local libcurl = require "spec.support.libcurl"
local nginx = require "spec.support.nginx"
local qhub = require "qhub"
local scripted = require "spec.support.scripted"
local shared = require "spec.support.shared"
local trial = require "spec.support.trial"

local HEAD = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n"
local CHUNKED = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n[1,\r\n"

describe("over HTTP/2", function()
  local server = shared(scripted.start)
  local front = shared(nginx.start, server)

  -- As trial.all, with nginx between.
  local function all(script, expected, options)
    local given = { base_url = front.url, http = { ca_file = front.ca_file } }
    for name, value in pairs(options or {}) do
      given[name] = value
    end
    trial.all(server, { script }, expected, given)
  end

  -- What is left of a response without a length. If its end is not told, it still is no JSON.
  local function reset_in_chunks(call, most)
    if libcurl.tells_resets or call.is_file or call.ignores_body then
      return trial.broken("network", 3)(call, most)
    end
    return { kind = "decode", sent = true, status_code = 200, attempts = 1, requests = 1 }
  end

  it("a stream that is reset in the body is a network error, and no start is sent again", function()
    all({ HEAD .. "[1," }, trial.broken("network", 3))
    all({ CHUNKED }, reset_in_chunks)
  end)

  it("a stream that is reset before the body does not count as a stale connection", function()
    local _ <close> = trial.at_once()
    for _, call in ipairs { calls.get_status, calls.start_execution } do
      local client <close> = qhub.HubServiceClient {
        base_url = front.url,
        token = "tok-en",
        http = { ca_file = front.ca_file },
      }
      server:play(trial.good(calls.get_logs), { HEAD })
      assert(client:get_logs "0190cf2e")
      local value, err = call.invoke(client)
      assert.is_nil(value)
      assert.equal("network", err.kind)
      assert.matches(call.repeatable and "stream" or "broke off", err.message)
      assert.equal(call.repeatable and 3 or 1, #server:requests() - 1)
    end
  end)

  it("silence is a timeout, and no start is sent again #timing", function()
    local options = { timeout = 0.1, max_retries = 0 }
    all({ { hang = true } }, trial.unanswered "timeout", options)
    all({ HEAD .. "[1,", { hang = true } }, trial.broken("timeout", 3), options)
  end)

  it("the 502 of nginx for a server that does not respond is an ordinary response", function()
    all({}, trial.status(502, true))
  end)
end)

describe("a connection over HTTP/2", function()
  local server = shared(gateway.start)

  local function new_client(front, options)
    return client_of(front, { token = server.token }, options)
  end

  it("is shared by simultaneous calls", function()
    local front <close> = nginx.start(server, { server = "keepalive_requests 1000;" })
    local connections, protocols = {}, {}
    local client <close> = new_client(front, {
      on_response = function(response)
        connections[response.headers["x-connection"]] = true
        protocols[response.headers["x-protocol"]] = true
      end,
    })
    local id = server:create(1)[1]
    assert(client:get_status(id))
    local all = qhub.tasks.run(function()
      local tasks = {}
      for index = 1, 50 do
        tasks[index] = qhub.tasks.spawn(client.get_status, client, id)
      end
      return (qhub.tasks.gather(tasks))
    end)
    assert.equal(50, #all)
    assert.is_string(next(connections))
    assert.is_nil(next(connections, next(connections)))
    assert.same({ ["HTTP/2.0"] = true }, protocols)
  end)

  it("is used by no start, not even by the first call of a client", function()
    local front <close> = nginx.start(server)
    local protocols = {}
    local client <close> = new_client(front, {
      on_response = function(response)
        protocols[#protocols + 1] = response.headers["x-protocol"]
      end,
    })
    local execution = assert(client:start_execution {})
    assert(execution:refresh())
    assert(client:start_execution {})
    assert.same({ "HTTP/1.1", "HTTP/2.0", "HTTP/1.1" }, protocols)
  end)

  it("that the server ends with GOAWAY is replaced by another one", function()
    local front <close> = nginx.start(server, { server = "keepalive_requests 3;" })
    local client <close> = new_client(front)
    local ids = {}
    for _ = 1, 10 do
      ids[#ids + 1] = assert(client:start_execution {}).id
    end
    for _, id in ipairs(ids) do
      assert(client:get_status(id))
    end
    assert.equal(20, server:requests().total)
  end)

  -- Calls `call(client)` 400 times, 50 at a time, behind a server that ends each connection after
  -- 20 requests. No retries: what the server refused is asked again without one.
  local function ask_in_parallel(call)
    local front <close> = nginx.start(server, { server = "keepalive_requests 20;" })
    local client <close> = new_client(front, { max_retries = 0 })
    local left = 400
    qhub.tasks.run(function()
      for _ = 1, 50 do
        qhub.tasks.spawn(function()
          while left > 0 do
            left = left - 1
            assert(call(client))
          end
        end)
      end
    end)
  end

  it("that the server ends repeatedly fails no start and starts nothing twice", function()
    ask_in_parallel(function(client)
      return client:start_execution {}
    end)
    assert.equal(400, server:requests().operations.start_execution)
  end)

  it("that the server ends repeatedly fails no other call", function()
    local id = server:create(1)[1]
    ask_in_parallel(function(client)
      return client:get_status(id)
    end)
    ask_in_parallel(function(client)
      return client:cancel_execution(id)
    end)
    assert.equal(400, server:requests().operations.get_status)
    assert.equal(400, server:requests().operations.cancel_execution)
  end)

  it("that breaks with calls in progress ends each of them once", function()
    local front <close> = nginx.start(server)
    local client <close> = new_client(front, { max_retries = 0 })
    server:fault { times = -1, fault = { hang = "headers" } }
    local errors = qhub.tasks.run(function()
      local tasks = {}
      for index = 1, 5 do
        tasks[index] = qhub.tasks.spawn(client.start_execution, client, {})
        tasks[index + 5] = qhub.tasks.spawn(client.get_status, client, "x")
      end
      repeat
        qhub.tasks.sleep(0.005)
      until server:requests().total == 10
      front:kill()
      return select(2, qhub.tasks.gather(tasks))
    end)
    for index = 1, 10 do
      assert.equal("network", errors[index].kind)
      assert.is_true(errors[index].sent)
      assert.equal(1, errors[index].attempts)
    end
    assert.equal(10, server:requests().total)
  end)
end)
