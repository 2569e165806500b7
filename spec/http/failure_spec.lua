-- How failures of calls are worded, and where they say that they happened.

local FakeTransport = require "spec.support.fake_transport"
local failure = require "qhub.http.failure"
local qhub = require "qhub"

-- The error of a get_status that is answered with `answer`.
local function err_of(answer, options)
  local client = FakeTransport({ answer }):client(options or { max_retries = 0 })
  local value, err = client:get_status "x"
  assert.is_nil(value)
  return err
end

local function said(body, status_code)
  local err = err_of { status_code = status_code or 400, body = body }
  return err.message:gsub("^get_status: %d+ ?", "")
end

describe("the message of an error status", function()
  it("names each member and its error from a FastAPI list", function()
    assert.equal(
      "Unprocessable Content: values: field required",
      said('{"detail":[{"loc":["body","values"],"msg":"field required","type":"missing"}]}', 422)
    )
    assert.equal(
      "Unprocessable Content: data.0.x: not a number; page: too small; odd",
      said(
        '{"detail":[{"loc":["body","data",0,"x"],"msg":"not a number"},'
          .. '{"loc":["query","page"],"msg":"too small"},"odd",{"loc":7},null]}',
        422
      )
    )
  end)

  it("is the title and detail of a problem document, in preference to other members", function()
    assert.equal(
      "Bad Request: Bad input: shots is missing",
      said '{"message":"","detail":"shots is missing","title":"Bad input","type":"about:blank"}'
    )
    assert.equal("Bad Request: d: m", said '{"message":"m","detail":"d"}')
  end)

  it("has no space before a colon and no double colon", function()
    assert.equal(
      "Forbidden: Resource forbidden: No subscription",
      said('{"code":"900908","message":"Resource forbidden ","description":"No subscription"}', 403)
    )
    assert.equal("Bad Request: a: b", said '{"message":" a : ","description":" b: "}')
    assert.equal("Bad Request", said '{"message":" : "}')
  end)

  it("repeats nothing", function()
    assert.equal("Bad Request: no such id", said '{"message":"no such id","detail":"no such id"}')
    assert.equal(
      "Bad Request: id 7: no such id",
      said '{"message":"no such id","detail":"id 7: no such id"}'
    )
    assert.equal("Bad Request", said '{"title":"Bad Request","message":"Bad Request"}')
  end)

  it("is made in time that grows with the length of the body only", function()
    local long, deep = ("a"):rep(20000), {}
    for _ = 1, 200 do
      deep = { long, long, long, long, deep }
    end
    local started = os.clock()
    failure.explanation { title = deep, detail = long:sub(2) .. "b" }
    assert.is_true(os.clock() - started < 1)
  end)

  it("names the wait that the gateway asks for, and says that it is not waited for", function()
    local err = err_of(
      { status_code = 429, headers = { ["Retry-After"] = "120" } },
      { max_retries = 2 }
    )
    assert.matches("asks to wait 120 s, which is too long to be waited for", err.message, 1, true)
    assert.equal(120, err.retry_after)
    assert.equal(1, err.attempts)
    err = err_of { status_code = 503, headers = { ["Retry-After"] = "7" } }
    assert.matches("asks to wait 7 s", err.message, 1, true)
    assert.is_nil(err.message:find "too long")
  end)
end)

describe("the reason of a failed run", function()
  it("is the title and detail of its problem document, otherwise an older member", function()
    assert.equal("T: D", failure.reason_of { title = "T", detail = "D", error = "E" })
    assert.equal("D", failure.reason_of { detail = "D", message = "M" })
    assert.equal("E", failure.reason_of { error = "E", message = "M", reason = "R" })
    assert.equal("M", failure.reason_of { message = "M", reason = "R" })
    assert.equal("R", failure.reason_of { reason = "R" })
    assert.equal("in it", failure.reason_of { error = { message = "in it" } })
  end)

  it("is nil when the result has no reason", function()
    for _, result in ipairs { {}, { energy = 1 }, { error = "" }, { title = {} }, 7, "x" } do
      assert.is_nil(failure.reason_of(result))
    end
    assert.is_nil(failure.reason_of(nil))
  end)
end)

describe("an echoed secret", function()
  local TOKEN = "t0kenMARKERx7Qz"

  it("is redacted in upper case, with zero-width and with control characters in it", function()
    for _, echo in ipairs {
      TOKEN:upper(),
      TOKEN:sub(1, 5) .. "\\u200b" .. TOKEN:sub(6),
      TOKEN:sub(1, 5) .. "\\u0007" .. TOKEN:sub(6),
      (TOKEN:gsub("MARKER", "%%4DARKER")),
    } do
      local logged = {}
      local err = err_of({ status_code = 400, body = '{"message":"not ' .. echo .. '"}' }, {
        max_retries = 0,
        token = TOKEN,
        logging = {
          level = "debug",
          logger = function(_, message, fields)
            logged[#logged + 1] = message .. tostring(fields.error)
          end,
        },
      })
      assert.matches("not REDACTED", err.message)
      for _, text in ipairs { err.message, tostring(err), table.concat(logged) } do
        assert.is_nil(text:upper():find("ARKER", 1, true), text)
      end
    end
  end)

  it("is redacted in the reason that a token function returns, if the client knows it", function()
    local calls = 0
    local client = FakeTransport({ { status_code = 200, body = '{"status":"RUNNING"}' } }):client {
      token = function()
        calls = calls + 1
        if calls == 1 then return TOKEN end
        return nil, "vault said " .. TOKEN
      end,
    }
    assert(client:get_status "x")
    local _, err = client:get_status "x"
    assert.equal("token", err.kind)
    assert.matches("vault said REDACTED", err.message)
    assert.is_nil(tostring(err):find(TOKEN, 1, true))
  end)
end)

describe("where an error happened", function()
  local client = FakeTransport({ { status_code = 404 } }):client { max_retries = 0 }

  local function here()
    return debug.getinfo(2, "l").currentline
  end

  it("is the line of the program's call, at the end of its text", function()
    local _, err = client:get_status "x"
    local line = here() - 1
    assert.equal("spec/http/failure_spec.lua:" .. line, err.where)
    assert.equal(" at " .. err.where, tostring(err):sub(-#err.where - 4))
  end)

  it("is the line of the call in a task, too", function()
    local err, line
    qhub.tasks.run(function()
      local _, caught = client:get_status "x"
      line = here() - 1
      err = caught
    end)
    assert.equal("spec/http/failure_spec.lua:" .. line, err.where)
  end)

  it("is the line of the wait that failed", function()
    local _, err = client:execution("x"):wait { timeout = 1 }
    assert.equal("spec/http/failure_spec.lua:" .. here() - 1, err.where)
  end)
end)
