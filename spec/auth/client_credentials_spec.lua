-- Where tokens come from: client credentials against the simulator's token endpoint and over
-- transport doubles.

local gateway_process = require "spec.support.gateway"
local loop = require "qhub.tasks.loop"
local qhub = require "qhub"
local shared = require "spec.support.shared"
local tasks = require "qhub.tasks"
local usage_error = require "spec.support.usage_error"

local client_credentials = qhub.credentials.client_credentials

local ENDPOINT = "https://gateway.example/token"
local SECRET = "s3cr3t/with+signs"
local BASIC = "a2V5OnMzY3IzdC93aXRoK3NpZ25z" -- base64 of key:SECRET

local function granted(token, expires_in)
  local lifetime = expires_in and ',"expires_in":' .. expires_in or ""
  return { status_code = 200, body = ('{"access_token":"%s"%s}'):format(token, lifetime) }
end

-- A token function over a double that gives `answers` in turn (the last one again and again), and
-- the requests that the double has seen. A response may be a function.
local function doubled(answers, changes)
  local requests = {}
  local o = {
    access_key_id = "key",
    secret_access_key = SECRET,
    token_endpoint = ENDPOINT,
    transport = function(request)
      requests[#requests + 1] = request
      local answer = answers[math.min(#requests, #answers)]
      if type(answer) == "function" then return answer(request) end
      return answer
    end,
  }
  for name, value in pairs(changes or {}) do
    o[name] = value
  end
  return client_credentials(o), requests
end

-- Responses that are numbered: the n-th one grants "token-n".
local function numbered(expires_in)
  local count = 0
  return function()
    count = count + 1
    return granted("token-" .. count, expires_in)
  end
end

describe("the client credentials grant", function()
  local gateway = shared(gateway_process.start)
  local now = loop.now

  after_each(function()
    loop.now = now
  end)

  -- Lets the token function believe that `seconds` have passed.
  local function pass(seconds)
    local earlier = loop.now
    loop.now = function()
      return earlier() + seconds
    end
  end

  local function of_gateway(changes)
    local o = {
      access_key_id = "demo-key",
      secret_access_key = "demo-secret",
      token_endpoint = gateway.origin .. "/token",
    }
    for name, value in pairs(changes or {}) do
      o[name] = value
    end
    return client_credentials(o)
  end

  local function client_of(token)
    return qhub.HubServiceClient { base_url = gateway.url, token = token }
  end

  -- Steps the tasks until the gateway has seen `count` token requests.
  local function step_until_asked(count)
    repeat
      tasks.step(0.01)
    until gateway:count("POST", "^/token") >= count
  end

  local HANG = { match = { path = "/token" }, fault = { hang = "headers", seconds = 60 } }

  -- ── one caller ──────────────────────────────────────────────────────────────────────────────

  it("requests no token before the first call, then one token for many calls", function()
    local client = client_of(of_gateway())
    assert.equal(0, gateway:tokens().requests)
    for _ = 1, 5 do
      assert(client:get_service_executions())
    end
    assert.equal(1, gateway:tokens().requests)
  end)

  it("sends what RFC 6749 asks for", function()
    local token, requests = doubled { granted("abc", 3600) }
    assert.equal("abc", token())
    local request = requests[1]
    assert.equal("POST", request.method)
    assert.equal(ENDPOINT, request.url)
    assert.equal("grant_type=client_credentials", request.body)
    assert.equal("application/x-www-form-urlencoded", request.headers["content-type"])
    assert.equal("Basic " .. BASIC, request.headers.authorization)
    assert.matches("^qhub%-lua/", request.headers["user-agent"])
  end)

  it("requests tokens from the hub's gateway by default, with its own timeout", function()
    local requests = {}
    local token = client_credentials {
      access_key_id = "a",
      secret_access_key = "bc",
      timeout = 7,
      transport = function(request)
        requests[#requests + 1] = request
        return granted("t", 60)
      end,
    }
    assert.equal("t", token())
    assert.equal("https://gateway.hub.kipu-quantum.com/token", requests[1].url)
    assert.equal("Basic YTpiYw==", requests[1].headers.authorization)
    assert.equal(7, requests[1].timeout)
  end)

  it("encodes credentials of any length", function()
    local encoded = { b = "YTpi", bc = "YTpiYw==", bcd = "YTpiY2Q=", ["\u{fc}:\255"] = "YTrDvDr/" }
    for secret, expected in pairs(encoded) do
      local changes = { access_key_id = "a", secret_access_key = secret }
      local token, requests = doubled({ granted "t" }, changes)
      assert(token())
      assert.equal("Basic " .. expected, requests[1].headers.authorization)
    end
  end)

  it("returns only the token", function()
    local token = doubled { granted("t", 60) }
    assert.equal(1, select("#", token()))
    assert.equal(1, select("#", token()))
  end)

  it("is a plain function whose tostring shows no secret", function()
    local token = doubled { granted "t" }
    assert.equal("function", type(token))
    assert.matches("^function: ", tostring(token))
  end)

  -- ── lifetime ────────────────────────────────────────────────────────────────────────────────

  it("renews a token 120 s before it expires, not earlier", function()
    local token, requests = doubled { numbered(3600) }
    assert.equal("token-1", token())
    pass(3479)
    assert.equal("token-1", token())
    pass(2)
    assert.equal("token-2", token())
    assert.equal(2, #requests)
  end)

  it("renews a token that lives 120 s or less at every call", function()
    local token, requests = doubled { numbered(120) }
    assert.equal("token-1", token())
    assert.equal("token-2", token())
    assert.equal(2, #requests)
  end)

  it("understands expires_in as a number or a string, and uses a default otherwise", function()
    -- What the response says, and how long the token is used: at least, and less than.
    for _, case in ipairs {
      { nil, 179, 301 },
      { "null", 179, 301 },
      { '"soon"', 179, 301 },
      { "[3600]", 179, 301 },
      { "true", 179, 301 },
      { '"3600"', 3479, 3601 },
      { "3600.5", 3479, 3602 },
      { "1e308", 3600, 86401 },
      { "9223372036854775807", 3600, 86401 },
    } do
      loop.now = now
      local token, requests = doubled { numbered(case[1]) }
      assert.equal("token-1", token())
      pass(case[2])
      assert.equal("token-1", token(), case[1])
      pass(case[3] - case[2])
      assert.equal("token-2", token(), case[1])
      assert.equal(2, #requests)
    end
  end)

  it("uses a token that has already expired exactly once", function()
    for _, lifetime in ipairs { "0", "-1", '"-5"', "-1e300" } do
      local token, requests = doubled { numbered(lifetime) }
      assert.equal("token-1", token())
      assert.equal("token-2", token())
      assert.equal(2, #requests)
    end
  end)

  it("keeps using the old token while renewals fail, until it expires", function()
    local refused = { status_code = 400, body = '{"error":"invalid_request"}' }
    local token, requests = doubled { granted("old", 3600), refused }
    token()
    pass(3500)
    assert.equal("old", token())
    assert.equal("old", token())
    assert.equal(2, #requests) -- not asked again at once
    pass(11)
    assert.equal("old", token())
    assert.equal(3, #requests)
    pass(90)
    assert.is_nil((token()))
  end)

  -- ── refused tokens ──────────────────────────────────────────────────────────────────────────

  it("gets a new token after a 401, and the call succeeds", function()
    local client = client_of(of_gateway())
    assert(client:get_service_executions())
    gateway:tokens { revoke = true }
    assert(client:get_service_executions())
    assert.equal(2, gateway:tokens().requests)
  end)

  it("requests no new token when the current one is not the one that was refused", function()
    local token, requests = doubled { numbered(3600) }
    assert.equal("token-1", token())
    assert.equal("token-2", token "token-1")
    assert.equal("token-2", token "token-1")
    assert.equal(2, #requests)
  end)

  it("never returns a refused token again when no new one can be had", function()
    local token = doubled { granted("bad", 3600), { status_code = 400 } }
    assert.equal("bad", token())
    assert.is_nil((token "bad"))
    assert.is_nil((token()))
  end)

  -- ── failures ────────────────────────────────────────────────────────────────────────────────

  it("fails calls with kind token when the endpoint refuses, after a single request", function()
    local client = client_of(of_gateway { secret_access_key = "wrong-secret" })
    local value, err = client:get_service_executions()
    assert.is_nil(value)
    assert.equal("token", err.kind)
    assert.equal(1, gateway:tokens().requests)
    local text = tostring(err)
    assert.matches("invalid_client: Client Authentication failed", text, 1, true)
    assert.matches(gateway.origin .. "/token", text, 1, true)
    assert.matches("401", text, 1, true)
    assert.is_nil(text:find("wrong", 1, true))
    assert.is_nil(text:find("ZGVtby1rZXk6", 1, true)) -- how the Basic credentials begin
  end)

  it("returns the reason of a failure as a string", function()
    local value, reason = doubled({ { status_code = 403, body = "no" } })()
    assert.is_nil(value)
    assert.equal("string", type(reason))
    assert.matches("403 Forbidden %(POST https://gateway.example/token%)", reason)
  end)

  it("retries after transient failures, by the same rules as other calls", function()
    gateway:fault {
      match = { path = "/token" },
      times = 2,
      fault = { status = 503, headers = { ["Retry-After"] = "0.001" } },
    }
    assert.equal("string", type(of_gateway()()))
    assert.equal(3, gateway:count("POST", "^/token"))
    local token, requests =
      doubled { { status_code = 500, headers = { ["Retry-After"] = "0.001" } } }
    local _, reason = token()
    assert.equal(3, #requests)
    assert.matches("500.*3 attempts", reason)
  end)

  it("names a network failure when there is no response", function()
    local sleep_until = loop.sleep_until
    finally(function()
      loop.sleep_until = sleep_until
    end)
    loop.sleep_until = function() -- the waits between attempts
      return true
    end
    local token, requests = doubled {
      function()
        return nil, "no route to " .. SECRET
      end,
    }
    local _, reason = token()
    assert.equal(3, #requests)
    assert.matches("no route to REDACTED", reason, 1, true)
  end)

  it("never shows a secret that the endpoint echoes", function()
    local echo = ("x"):rep(190) .. SECRET .. " " .. BASIC .. " s3cr3t%2Fwith%2Bsigns"
    for _, answer in ipairs {
      { status_code = 400, body = qhub.json.encode { error = echo, error_description = SECRET } },
      { status_code = 200, body = qhub.json.encode { error = SECRET } },
      { status_code = 200, body = SECRET },
      { status_code = 418, headers = { ["x-request-id"] = SECRET }, body = BASIC },
    } do
      local _, reason = doubled({ answer })()
      for _, secret in ipairs { "s3cr3t", "a2V5O", "with" } do
        assert.is_nil(reason:find(secret, 1, true), reason)
      end
    end
  end)

  it("refuses responses without a usable token", function()
    for _, body in ipairs {
      "",
      "null",
      "<html>welcome</html>",
      '"abc"',
      "[]",
      "{}",
      '{"access_token":null}',
      '{"access_token":""}',
      '{"access_token":17}',
      '{"access_token":"a\\nb"}',
      '{"access_token":"half',
    } do
      local token, requests = doubled { { status_code = 200, body = body } }
      local value, reason = token()
      assert.is_nil(value)
      assert.matches("of the token endpoint", reason, 1, true)
      assert.is_nil(reason:find("a\nb", 1, true))
      assert.is_nil(reason:find("half", 1, true))
      assert.equal(1, #requests)
    end
  end)

  it("follows a redirect that stays at the endpoint's origin", function()
    local moved = { status_code = 307, headers = { Location = "/oauth2/token" } }
    local token, requests = doubled { moved, granted "t" }
    assert.equal("t", token())
    assert.equal("https://gateway.example/oauth2/token", requests[2].url)
    assert.equal("Basic " .. BASIC, requests[2].headers.authorization)
    assert.equal("grant_type=client_credentials", requests[2].body)
  end)

  it("never sends its credentials to another origin", function()
    for _, status_code in ipairs { 301, 302, 303, 307, 308 } do
      local moved = { status_code = status_code, headers = { Location = "https://evil.example/" } }
      local token, requests = doubled { moved, { status_code = 404 } }
      assert.is_nil((token()))
      for index = 2, #requests do
        assert.is_nil(requests[index].headers.authorization)
        assert.is_nil(requests[index].body)
      end
    end
  end)

  it("propagates an error of the transport function", function()
    local thrown = setmetatable({}, { __name = "mine" })
    local token = doubled {
      function()
        error(thrown)
      end,
    }
    local ok, err = pcall(token)
    assert.is_false(ok)
    assert.equal(thrown, err)
  end)

  -- ── many callers ────────────────────────────────────────────────────────────────────────────

  -- Runs `count` tasks of `fn(index)`; returns what tasks.gather gives.
  local function together(count, fn)
    return tasks.run(function()
      local list = {}
      for index = 1, count do
        list[index] = tasks.spawn(fn, index)
      end
      return tasks.gather(list)
    end)
  end

  it("sends one request for any number of waiting tasks, and all get the token", function()
    local token = of_gateway()
    local results = together(50, function()
      return token()
    end)
    for index = 1, 50 do
      assert.equal(results[1], results[index])
    end
    assert.equal("string", type(results[50]))
    assert.equal(1, gateway:tokens().requests)
  end)

  it("sends one request for all calls whose token was refused", function()
    local client = client_of(of_gateway())
    local function call()
      return client:get_service_executions()
    end
    local results = together(20, call)
    assert.equal(20, #results)
    gateway:tokens { revoke = true }
    results = together(20, call)
    assert.equal(20, #results)
    assert.equal(2, gateway:tokens().requests)
  end)

  it("gives a failure to every waiting task", function()
    local token = of_gateway { secret_access_key = "wrong" }
    local results, failures = together(10, function()
      return token()
    end)
    assert.same({}, results)
    for index = 1, 10 do
      assert.matches("invalid_client", failures[index], 1, true)
    end
    assert.equal(1, gateway:tokens().requests)
  end)

  it("lets other tasks use the old token while one task renews it", function()
    local token = of_gateway()
    local old = token()
    pass(3500)
    gateway:fault { match = { path = "/token" }, fault = { delay_ms = 50 } }
    local results = together(3, function()
      return token()
    end)
    assert.not_equal(old, results[1])
    assert.equal(old, results[2])
    assert.equal(old, results[3])
    assert.equal(2, gateway:tokens().requests)
  end)

  it("lets the next task request when the requesting task is cancelled", function()
    gateway:fault(HANG)
    local token = of_gateway()
    local first = tasks.spawn(token)
    local others = { tasks.spawn(token), tasks.spawn(token) }
    step_until_asked(1)
    first:cancel()
    local value, reason = first:join()
    assert.is_nil(value)
    assert.matches("cancelled", reason)
    local results = tasks.gather(others)
    assert.equal("string", type(results[1]))
    assert.equal(results[1], results[2])
    assert.equal(2, gateway:count("POST", "^/token"))
  end)

  it("ends the call of a task cancelled in the meantime with kind cancelled", function()
    gateway:fault(HANG)
    local client = client_of(of_gateway())
    local asking = tasks.spawn(client.get_service_executions, client)
    local waiting = tasks.spawn(client.get_service_executions, client)
    step_until_asked(1)
    waiting:cancel()
    asking:cancel()
    for _, task in ipairs { waiting, asking } do
      local value, err = task:join()
      assert.is_nil(value)
      assert.equal("cancelled", err.kind)
      assert.matches("task was cancelled", err.message)
    end
  end)

  it("lets a waiting task be cancelled while the others keep waiting", function()
    gateway:fault { match = { path = "/token" }, fault = { delay_ms = 100 } }
    local token = of_gateway()
    local list = { tasks.spawn(token), tasks.spawn(token), tasks.spawn(token) }
    step_until_asked(1)
    list[2]:cancel()
    local results, failures = tasks.gather(list)
    assert.matches("cancelled", failures[2])
    assert.equal("string", type(results[1]))
    assert.equal(results[1], results[3])
    assert.equal(1, gateway:tokens().requests)
  end)

  it("wakes no task that has stopped waiting", function()
    gateway:fault { match = { path = "/token" }, fault = { delay_ms = 50 } }
    local token = of_gateway()
    local fetcher = tasks.spawn(token)
    local slept
    local waiter = tasks.spawn(function()
      token()
      local started = now()
      tasks.sleep(0.2)
      slept = now() - started
    end)
    step_until_asked(1)
    waiter:cancel()
    assert(fetcher:join())
    waiter:join()
    assert.is_true(slept >= 0.2)
  end)

  it("lets the next task request when the requesting task is closed with its run", function()
    gateway:fault(HANG)
    local token = of_gateway()
    tasks.run(function()
      local waiter
      local failing = tasks.spawn(function()
        return pcall(tasks.run, function()
          tasks.spawn(token) -- holds the fetch, and is abandoned with this run
          tasks.sleep(0)
          waiter = tasks.spawn(function() end)
          while gateway:count("POST", "^/token") < 1 do
            tasks.sleep(0.005)
          end
          error "enough"
        end)
      end)
      local mine = tasks.spawn(function()
        while gateway:count("POST", "^/token") < 1 do
          tasks.sleep(0.005)
        end
        return token()
      end)
      assert.is_false((failing:join()))
      assert.equal("string", type((mine:join())))
      assert(waiter)
    end)
    assert.equal(2, gateway:count("POST", "^/token"))
  end)

  it("lets the next task request when the transport function raises", function()
    local token, requests = doubled {
      function()
        tasks.sleep(0.001)
        error "first"
      end,
      granted "t",
    }
    local results, failures = together(3, function()
      return token()
    end)
    assert.matches("first", failures[1])
    assert.equal("t", results[2])
    assert.equal("t", results[3])
    assert.equal(2, #requests)
  end)

  it("sends its own request outside of tasks while a suspended task owns the shared one", function()
    gateway:fault(HANG)
    local token = of_gateway()
    local holder = tasks.spawn(token)
    step_until_asked(1)
    assert.equal("string", type(token()))
    holder:cancel()
    holder:join()
  end)

  it("works in the program's own coroutines, inside and outside of tasks", function()
    local token = of_gateway()
    local function in_a_coroutine()
      return coroutine.wrap(function()
        return coroutine.wrap(token)()
      end)()
    end
    local value = in_a_coroutine()
    assert.equal("string", type(value))
    local results = together(2, in_a_coroutine)
    assert.same({ value, value }, results)
  end)

  it("does not deadlock when its own transport function requests a token", function()
    local token
    local depth = 0
    token = doubled {
      function()
        depth = depth + 1
        if depth == 1 then return granted("outer-" .. token(), 60) end
        return granted("inner", 60)
      end,
    }
    local value = tasks.run(function()
      return token()
    end)
    assert.equal("outer-inner", value)
  end)

  it("outlives the client that requested the token", function()
    gateway:fault { match = { path = "/token" }, fault = { delay_ms = 50 } }
    local token = of_gateway()
    local client, other = client_of(token), client_of(token)
    local doomed = tasks.spawn(client.get_service_executions, client)
    local lucky = tasks.spawn(other.get_service_executions, other)
    step_until_asked(1)
    client:close()
    local value, err = doomed:join()
    assert.is_nil(value)
    assert.equal("cancelled", err.kind)
    assert(lucky:join())
    assert.equal(1, gateway:tokens().requests)
  end)

  -- ── usage errors
  -- ─────────────────────────────────────────────────────────────────────────────────

  it("raises for missing, wrong and unknown options, and shows no value", function()
    for _, case in ipairs {
      { { access_key_id = "" }, "access_key_id is an empty string" },
      { { access_key_id = 5 }, "access_key_id must be a string" },
      { { access_key_id = "id:" .. SECRET }, "must not contain ':'" },
      { { access_key_id = "id\n" }, "control characters" },
      { { secret_access_key = "" }, "secret_access_key is an empty string" },
      { { secret_access_key = SECRET .. "\n" }, "control characters" },
      { { secret_access_key = { SECRET } }, "must be a string, got a table" },
      { { token_endpoint = "gateway.example/token" }, "token_endpoint" },
      { { token_endpoint = "ftp://gateway.example/token" }, "https://" },
      { { token_endpoint = "https://a:s3cr3t@gateway.example/token" }, "user name" },
      { { token_endpoint = "https://<host>/token" }, "token_endpoint" },
      { { token_endpoint = 7 }, "token_endpoint must be a URL" },
      { { timeout = 0 }, "timeout must be" },
      { { http = { verfy = false } }, "client_credentials.http: unknown option 'verfy'" },
      { { transport = 1 }, "transport must be a function" },
      { { secret_acess_key = SECRET }, "known are access_key_id" },
      { { scope = "x" }, "unknown option 'scope'" },
    } do
      local message = usage_error(doubled, { granted "t" }, case[1])
      assert.matches(case[2], message, 1, true)
      assert.is_nil(message:find("s3cr3t", 1, true), message)
    end
    assert.matches("options must be a table", usage_error(client_credentials, SECRET))
    assert.matches("provide 'access_key_id'", usage_error(client_credentials, {}))
    local message = usage_error(function()
      client_credentials { access_key_id = "a" }
    end)
    assert.matches("provide 'secret_access_key'", message)
    assert.matches("credentials_spec.lua:%d+:", message)
  end)
end)
