-- Kept connections that die, and answers that come before the request is all there.

local calls = require "spec.support.calls"
local client_of = require "spec.support.client_of"
local libcurl = require "spec.support.libcurl"
local qhub = require "qhub"
local scripted = require "spec.support.scripted"
local shared = require "spec.support.shared"
local trial = require "spec.support.trial"

describe("a kept connection", function()
  local server = shared(scripted.start)

  -- Makes a call over a connection that has carried one request already (if the call may use one),
  -- while the server plays `script` for it and a good response afterwards. Returns value, error and
  -- what was asked.
  local function over_kept(call, script, options)
    local _ <close> = trial.at_once()
    local client <close> = client_of(server, options)
    server:play(trial.good(calls.get_logs), script, trial.good(call))
    assert(client:get_logs "0190cf2e")
    local value, err = call.invoke(client)
    local asked = server:requests()
    assert.equal("GET", table.remove(asked, 1).method)
    local kept = call.repeatable or libcurl.starts_use_kept
    assert.equal(kept and 1 or 2, asked[1].connection, call.name)
    return value, err, asked
  end

  it(
    "is not reused after a response of 5xx, because servers often close the connection then",
    function()
      local client <close> = client_of(server, { max_retries = 0 })
      local failed = "HTTP/1.1 500 Oops\r\nContent-Length: 2\r\n\r\n{}"
      server:play({ failed, { keep = true } }, trial.good(calls.start_execution))
      local _, err = client:start_execution {}
      assert.equal(500, err.status_code)
      assert(client:start_execution {})
      local asked = server:requests()
      assert.equal(2, #asked)
      assert.equal(2, asked[2].connection)
    end
  )

  it("that was idle for more than a second is not reused by a start #timing", function()
    local client <close> = client_of(server)
    server:play(trial.good(calls.get_logs), trial.good(calls.start_execution))
    assert(client:get_logs "0190cf2e")
    qhub.tasks.run(qhub.tasks.sleep, 1.05)
    assert(client:start_execution {})
    assert.equal(2, server:requests()[2].connection)
  end)

  it("that is closed when the request arrives: anything but a start is repeated at once", function()
    for _, call in ipairs(calls) do
      local value, err, asked = over_kept(call, {})
      if call.repeatable then
        assert(value, err)
        assert.equal(2, #asked)
        assert.equal(2, asked[2].connection)
      else
        assert.is_nil(value)
        assert.equal("network", err.kind)
        assert.is_true(err.sent)
        assert.equal(1, err.attempts)
        assert.equal(1, #asked)
      end
    end
  end)

  it("that is closed when an idempotent start arrives: it is sent again", function()
    local start = calls.start_execution
    local _ <close> = trial.at_once()
    local client <close> = client_of(server)
    server:play(trial.good(calls.get_logs), {}, trial.good(start))
    assert(client:get_logs "0190cf2e")
    assert(start.invoke(client, { idempotent = true }))
    assert.equal(3, #server:requests())
  end)

  it("that is closed when a start arrives: it is not sent over another connection", function()
    local client <close> = client_of(server)
    local slow = { { pause = 20 }, table.unpack(trial.good(calls.get_logs)) }
    server:play(slow, slow, {}, trial.good(calls.start_execution))
    qhub.tasks.run(function()
      qhub.tasks.spawn(client.get_logs, client, "0190cf2e")
      qhub.tasks.spawn(client.get_logs, client, "0190cf2e")
    end)
    assert.equal(2, server:connections())
    local value, err = calls.start_execution.invoke(client)
    assert.is_nil(value)
    assert.equal("network", err.kind)
    assert.equal(3, #server:requests())
  end)

  it("that is closed with every request: retries end at max_retries", function()
    for _, call in ipairs(calls) do
      local _ <close> = trial.at_once()
      local client <close> = client_of(server, { max_retries = 1 })
      server:play(trial.good(calls.get_logs), {})
      assert(client:get_logs "0190cf2e")
      local value, err = call.invoke(client)
      assert.is_nil(value)
      assert.equal("network", err.kind)
      assert.equal(call.repeatable and 2 or 1, err.attempts)
      assert.equal(call.repeatable and 2 or 1, #server:requests() - 1)
    end
  end)

  it("that is closed in the middle of a response does not count as stale", function()
    for _, call in ipairs(calls) do
      local value, err, asked = over_kept(call, { "HTTP/1.1 2" })
      if call.repeatable then
        assert(value, err)
        assert.equal(2, #asked)
      else
        assert.equal("network", err.kind)
        assert.equal(1, #asked)
      end
    end
  end)

  it("that goes silent times out, and no start is sent again #timing", function()
    for _, call in ipairs { calls.start_execution, calls.get_status } do
      local value, err, asked = over_kept(call, { { hang = true } }, { timeout = 0.1 })
      if call.repeatable then
        assert(value, err)
        assert.equal(2, #asked)
      else
        assert.equal("timeout", err.kind)
        assert.is_true(err.sent)
        assert.equal(1, #asked)
      end
    end
  end)

  it("that was closed long ago is not reused, not even for a start", function()
    for _, call in ipairs(calls) do
      local client <close> = client_of(server, { max_retries = 0 })
      local bytes = trial.good(calls.get_logs)[1]
      server:play({ bytes }, trial.good(call)) -- closed without a word
      assert(client:get_logs "0190cf2e")
      repeat
      until server:has_closed()
      local value, err = call.invoke(client)
      assert(value, err)
      assert.equal(2, #server:requests())
      assert.equal(2, server:connections())
    end
  end)
end)

describe("a large request", function()
  local server = shared(scripted.start)

  local BLOB = ("x"):rep(20 << 20)

  local function start(script, options)
    local _ <close> = trial.at_once()
    local defaults = { max_retries = 2, timeout = 5 }
    server:play(script)
    client_of(server, defaults, options):close() -- what is made once is made now
    local before = trial.descriptors()
    local value, err
    do
      local client <close> = client_of(server, defaults, options)
      value, err = client:start_execution { blob = BLOB }
    end
    assert.equal(before, trial.descriptors())
    return value, err, server:requests()
  end

  it("that is refused before it is complete returns the server's response", function()
    for _, status in ipairs { 400, 401, 413 } do
      local bytes =
        scripted.response(status .. " No", '{"message":"too much"}', { "Connection: close" })
      local value, err, asked = start { { unread = true }, bytes, { drain = true } }
      assert.is_nil(value)
      assert.equal("api", err.kind, tostring(err))
      assert.equal(status, err.status_code)
      assert.equal("too much", err.body.message)
      assert.equal(1, #asked)
    end
  end)

  it("that is accepted before it is complete counts as started", function()
    local bytes = scripted.response("201 Created", calls.start_execution.body)
    local value, err, asked = start { { unread = true }, bytes, { drain = true } }
    assert(value, err)
    assert.equal("0190cf2e", value.id)
    assert.equal(1, #asked)
  end)

  it("whose connection breaks is sent once", function()
    local value, err, asked = start { { unread = true } }
    assert.is_nil(value)
    assert.equal("network", err.kind)
    assert.is_true(err.sent)
    assert.equal(1, err.attempts)
    assert.equal(1, #asked)
  end)

  it("that the server does not read times out, sent once #timing", function()
    local value, err, asked = start({ { unread = true }, { pause = 1000 } }, { timeout = 0.2 })
    assert.is_nil(value)
    assert.equal("timeout", err.kind)
    assert.equal("read", err.phase)
    assert.is_true(err.sent)
    assert.equal(1, #asked)
  end)

  it("arrives byte for byte, and is sent again after a status that allows it", function()
    local later = scripted.response("503 Later", "", { "Retry-After: 0" })
    local good = scripted.response("201 Created", calls.start_execution.body)
    server:play({ later, { keep = true } }, { good, { keep = true } })
    local client <close> = qhub.HubServiceClient { base_url = server.url, token = "tok-en" }
    assert(client:start_execution { blob = BLOB })
    local asked = server:requests()
    assert.equal(2, #asked)
    assert.equal(#BLOB + #'{"blob":""}', asked[1].body_size)
    assert.equal(#BLOB + #'{"blob":""}', asked[2].body_size)
  end)
end)
