-- The gateway simulator keeps the wire contract, its files, tokens and odd shapes.
--
-- The requests here are written byte by byte, so that neither qhub nor libcurl can gloss over
-- anything.

local digest = require "openssl.digest"
local gateway = require "spec.support.gateway"
local json = dofile "examples/gateway/json.lua"
local process = require "spec.support.process"
local wire = require "spec.support.wire"

local done = { pending_ms = 0, running_ms = 0 }

describe("the gateway simulator", function()
  local g

  setup(function()
    g = gateway.start { set = { "pending_ms=0", "running_ms=0" } }
  end)
  teardown(function()
    g:stop()
  end)
  before_each(function()
    g:clear()
  end)

  local function ask(method, path, options)
    if not path:find "^/token" then path = "/acme/vqe/v1" .. path end
    return wire.ask(g.port, method, path, options)
  end

  local function start(body)
    local answer = ask("POST", "/", { body = json.encode(body or {}) })
    assert.equal(201, answer.status)
    return json.decode(answer.body).id, answer
  end

  local function sha256(text)
    return (
      digest.new("sha256"):final(text):gsub(".", function(byte)
        return string.format("%02x", byte:byte())
      end)
    )
  end

  describe("by the contract", function()
    it("responds to a start with 201, the execution and its Location", function()
      local id, answer = start { simulate = { pending_ms = 60000 }, ["$tags"] = json.array { "a" } }
      assert.equal(g.url .. "/" .. id, answer.headers.location)
      local execution = json.decode(answer.body)
      assert.equal("PENDING", execution.status)
      assert.same({ "a" }, execution.tags)
      assert.truthy(execution.createdAt:match("^%d%d%d%d%-%d%d%-%d%d %d%d:%d%d:%d%d$"))
      assert.truthy(id:match("^%x+%-%x+%-4%x%x%x%-[89ab]%x%x%x%-%x+$"))
    end)

    it("moves an execution through PENDING, RUNNING and SUCCEEDED", function()
      local id = start { simulate = { pending_ms = 100000, running_ms = 100000 } }
      local function status()
        return json.decode(ask("GET", "/" .. id).body).status
      end
      assert.equal("PENDING", status())
      g:advance(101)
      assert.equal("RUNNING", status())
      g:advance(100)
      assert.equal("SUCCEEDED", status())
    end)

    it("lists executions, the newest first", function()
      g:forget()
      local first, second = start(), start()
      local list = json.decode(ask("GET", "/").body)
      assert.same({ second, first }, { list[1].id, list[2].id })
    end)

    it("returns a result in an envelope with the service's own members at the top level", function()
      local id = start { input = { molecule = "H2", bond_length = 0.735 } }
      local result = json.decode(ask("GET", "/" .. id .. "/result").body)
      assert.equal(-1.13727, result.energy)
      assert.equal("SUCCEEDED", result._embedded.status.status)
      local href = g.url .. "/" .. id .. "/result/hello.txt"
      assert.equal(href, result._links["hello.txt"].href)
      assert.equal(g.url .. "/" .. id, result._links.status.href)
    end)

    it("computes a curve with its minimum at the molecule's bond length", function()
      local lowest, best = math.huge, nil
      for _, length in ipairs { 0.4, 0.6, 0.735, 0.9, 1.4 } do
        local id = start { input = { molecule = "H2", bond_length = length } }
        local energy = json.decode(ask("GET", "/" .. id .. "/result").body).energy
        if energy < lowest then
          lowest, best = energy, length
        end
      end
      assert.equal(0.735, best)
    end)

    it("withholds the result for a while after SUCCEEDED", function()
      local id = start { simulate = { pending_ms = 0, running_ms = 0, result_delay_ms = 50000 } }
      assert.equal("SUCCEEDED", json.decode(ask("GET", "/" .. id).body).status)
      assert.equal(404, ask("GET", "/" .. id .. "/result").status)
      g:advance(51)
      assert.equal(200, ask("GET", "/" .. id .. "/result").status)
    end)

    it("takes tags from $tags only", function()
      local _, answer = start { tags = json.array { "a parameter" } }
      assert.is_nil(json.decode(answer.body).tags)
    end)

    it("keeps the names of secrets and never shows their values", function()
      local secrets = { API_KEY = "s3cr3t-value", OTHER = "s3cr3t-too" }
      local id = start { ["$secrets"] = secrets, n = 1, simulate = { echo = true } }
      local listed
      for _, one in ipairs(g:call("GET", "executions").executions) do
        listed = one.id == id and one or listed
      end
      assert.same({ "API_KEY", "OTHER" }, listed.secrets)
      for _, path in ipairs { "", "/result", "/log", "/result/output.json" } do
        assert.is_nil(ask("GET", "/" .. id .. path).body:find("s3cr3t", 1, true))
      end
      assert.equal(1, json.decode(ask("GET", "/" .. id .. "/result").body).echo.n)
    end)

    it("keeps the parent execution token of a start", function()
      local headers = { ["X-Parent-Execution-Token"] = "token-of-parent" }
      g:forget()
      assert.equal(201, ask("POST", "/", { body = "{}", headers = headers }).status)
      assert.equal("token-of-parent", g:call("GET", "executions").executions[1].parent)
    end)

    it("accepts a raw DEL in a string, and no other control character", function()
      assert.equal(201, ask("POST", "/", { body = '{"a":"\127"}' }).status)
      for _, byte in ipairs { "\0", "\1", "\n", "\31" } do
        assert.equal(400, ask("POST", "/", { body = '{"a":"' .. byte .. '"}' }).status)
      end
    end)

    it("offers the service's output as output.json, or output.txt when it is not JSON", function()
      local id = start { simulate = { result = { sum = 3 } } }
      assert.equal('{"sum":3}', ask("GET", "/" .. id .. "/result/output.json").body)
      local links = json.decode(ask("GET", "/" .. id .. "/result").body)._links
      assert.truthy(links["output.json"].href)
      id = start { simulate = { result = "plain" } }
      assert.equal('"plain"', ask("GET", "/" .. id .. "/result/output.txt").body)
      assert.equal(404, ask("GET", "/" .. id .. "/result/output.json").status)
      local result = json.decode(ask("GET", "/" .. id .. "/result").body)
      assert.truthy(result._links["output.txt"])
      assert.is_nil(result._links["output.json"])
      assert.is_nil(result.energy)
    end)

    it("returns a problem document for FAILED when configured", function()
      local problem = { title = "InputError", detail = "no such basis", hint = "sto-3g" }
      local id = start { simulate = { outcome = "FAILED", problem = problem } }
      local result = json.decode(ask("GET", "/" .. id .. "/result").body)
      assert.same(
        { "about:blank", 500, "InputError", "no such basis", "sto-3g" },
        { result.type, result.status, result.title, result.detail, result.hint }
      )
      local file = json.decode(ask("GET", "/" .. id .. "/result/output.json").body)
      assert.equal("no such basis", file.detail)
      g:settings { problem = true }
      id = start { simulate = { outcome = "FAILED" } }
      result = json.decode(ask("GET", "/" .. id .. "/result").body)
      assert.equal("BackendError", result.title)
      assert.equal("FAILED", result._embedded.status.status)
    end)

    it("returns a result without output for FAILED", function()
      local id = start { simulate = { outcome = "FAILED", pending_ms = 0, running_ms = 0 } }
      local result = json.decode(ask("GET", "/" .. id .. "/result").body)
      assert.equal("FAILED", result._embedded.status.status)
      assert.is_nil(result.energy)
    end)

    it("adds log entries until the run ends", function()
      local id = start { simulate = { pending_ms = 0, running_ms = 100000, logs = 10 } }
      assert.equal(1, #json.decode(ask("GET", "/" .. id .. "/log").body))
      g:advance(51)
      local logs = json.decode(ask("GET", "/" .. id .. "/log").body)
      assert.equal(6, #logs)
      assert.truthy(
        logs[6].timestamp:match("^%d+%-%d%d%-%d%dT%d%d:%d%d:%d%d%.%d%d%d%d%d%d%d%d%dZ$")
      )
      g:advance(1000)
      assert.equal(10, #json.decode(ask("GET", "/" .. id .. "/log").body))
    end)

    it("cancels only executions that have not ended", function()
      local id = start { simulate = { running_ms = 100000 } }
      assert.equal(204, ask("PUT", "/" .. id .. "/cancel").status)
      assert.equal("CANCELLED", json.decode(ask("GET", "/" .. id).body).status)
      id = start { simulate = done }
      assert.equal(204, ask("PUT", "/" .. id .. "/cancel").status)
      assert.equal("SUCCEEDED", json.decode(ask("GET", "/" .. id).body).status)
    end)

    it("returns 404, 401, 405 and 400 as JSON", function()
      local id = start()
      assert.equal(404, ask("GET", "/nothing").status)
      assert.equal(404, ask("GET", "/" .. id .. "/result/nothing").status)
      assert.equal(401, ask("GET", "/" .. id, { token = false }).status)
      assert.equal(401, ask("GET", "/" .. id, { token = "wrong" }).status)
      assert.equal(405, ask("DELETE", "/" .. id).status)
      for _, body in ipairs { "", "{", "[]", "7", '{"a":01}', '{"a":1}x' } do
        local answer = ask("POST", "/", { body = body })
        assert.equal(400, answer.status)
        assert.equal("Bad Request", json.decode(answer.body).message)
      end
    end)

    it("echoes a request body byte for byte when asked to", function()
      local body = '{ "simulate": {"echo":true},"n":[1.0,1e2, 9007199254740993]}'
      local id = json.decode(ask("POST", "/", { body = body }).body).id
      local result = ask("GET", "/" .. id .. "/result").body
      assert.truthy(result:find('"echo":' .. body, 1, true))
    end)

    it("accepts ids and file names as encoded segments", function()
      local name = "a b/ü%.txt"
      local id = start { simulate = { id = "run 1/ä", files = { [name] = "content" } } }
      assert.equal("run 1/ä", id)
      local path = "/run%201%2F%C3%A4/result/a%20b%2F%C3%BC%25.txt"
      assert.equal("content", ask("GET", path).body)
      local result = json.decode(ask("GET", "/run%201%2f%c3%a4/result").body)
      assert.truthy(result._links[name].href:find("/result/a%20b%2F%C3%BC%25.txt", 1, true))
    end)
  end)

  describe("serving files", function()
    local id, path, whole

    setup(function()
      g:clear() -- before_each comes later, and the test before may have left settings
      id = start { simulate = { files = { data = 200000 } } }
      path = "/" .. id .. "/result/data"
      whole = ask("GET", path).body
    end)

    local function part(range, extra)
      local headers = { Range = range }
      for name, value in pairs(extra or {}) do
        headers[name] = value
      end
      return ask("GET", path, { headers = headers })
    end

    it("generates the same bytes every time, with their checksum", function()
      local answer = ask("GET", path)
      assert.equal(200000, #answer.body)
      assert.equal(whole, answer.body)
      assert.equal(sha256(whole), answer.headers["x-checksum-sha256"])
      assert.equal(sha256(whole), g:file(id, "data").sha256)
    end)

    it("serves exactly the bytes of any range", function()
      for _, case in ipairs {
        { "bytes=0-0", 0, 0 },
        { "bytes=65530-65545", 65530, 65545 },
        { "bytes=131072-", 131072, 199999 },
        { "bytes=-7", 199993, 199999 },
        { "bytes=199999-300000", 199999, 199999 },
      } do
        local answer = part(case[1])
        assert.equal(206, answer.status)
        local field = string.format("bytes %d-%d/200000", case[2], case[3])
        assert.equal(field, answer.headers["content-range"])
        assert.is_true(whole:sub(case[2] + 1, case[3] + 1) == answer.body)
      end
    end)

    it("returns 416 beyond the end, and the whole file for anything but a single range", function()
      local answer = part("bytes=200000-")
      assert.equal(416, answer.status)
      assert.equal("bytes */200000", answer.headers["content-range"])
      assert.equal(200, part("bytes=0-1,5-6").status)
      assert.equal(200, part("lines=1-2").status)
    end)

    it("heeds If-Range", function()
      local etag = ask("GET", path).headers.etag
      local modified = ask("GET", path).headers["last-modified"]
      assert.equal(206, part("bytes=5-", { ["If-Range"] = etag }).status)
      assert.equal(206, part("bytes=5-", { ["If-Range"] = modified }).status)
      assert.equal(200, part("bytes=5-", { ["If-Range"] = '"other"' }).status)
    end)

    it("changes a file's bytes and validator on demand", function()
      local before = ask("GET", path)
      g:fault { fault = { change_etag = true } }
      local after = ask("GET", path)
      assert.not_equal(before.headers.etag, after.headers.etag)
      assert.not_equal(before.body, after.body)
      assert.equal(after.body, ask("GET", path).body)
      whole = after.body
    end)

    it("lists the checksums of the other files in SHA256SUMS", function()
      local demo = start()
      local sums = ask("GET", "/" .. demo .. "/result/SHA256SUMS").body
      local hello = ask("GET", "/" .. demo .. "/result/hello.txt").body
      assert.truthy(sums:find(sha256(hello) .. "  hello.txt\n", 1, true))
      assert.truthy(sums:find("  result.bin\n", 1, true))
    end)
  end)

  describe("issuing tokens", function()
    local function grant(pair, body)
      local encoded = { ["demo-key:demo-secret"] = "ZGVtby1rZXk6ZGVtby1zZWNyZXQ=", wrong = "eDp5" }
      local headers = { ["Content-Type"] = "application/x-www-form-urlencoded" }
      headers.Authorization = "Basic " .. encoded[pair]
      local options = { token = false, headers = headers }
      options.body = body or "grant_type=client_credentials"
      return ask("POST", "/token", options)
    end

    it("issues a token that is accepted until it expires", function()
      local answer = json.decode(grant("demo-key:demo-secret").body)
      assert.equal("Bearer", answer.token_type)
      assert.equal(3600, answer.expires_in)
      assert.equal(200, ask("GET", "/", { token = answer.access_token }).status)
      g:advance(3601)
      assert.equal(401, ask("GET", "/", { token = answer.access_token }).status)
      assert.equal(1, g:tokens().granted)
    end)

    it("refuses wrong credentials and other grants", function()
      assert.equal(401, grant("wrong").status)
      assert.equal(400, grant("demo-key:demo-secret", "grant_type=password").status)
      assert.equal(2, g:tokens().refused)
    end)

    it("revokes and restores tokens on demand", function()
      g:tokens { revoke = true }
      assert.equal(401, ask("GET", "/").status)
      g:tokens { restore = true }
      assert.equal(200, ask("GET", "/").status)
    end)
  end)

  describe("in the variants of other gateways", function()
    it("responds in snake_case, with nulls, unknown members and values", function()
      local shape = { snake_case = true, nulls = true, extra = true, status_value = "PAUSED" }
      local id = start { simulate = { shape = shape } }
      local execution = json.decode(ask("GET", "/" .. id).body)
      assert.equal(json.null, execution.created_at)
      assert.equal("PAUSED", execution.status)
      assert.equal(5, execution.priority)
    end)

    it("words errors as FastAPI does", function()
      g:settings { errors = "fastapi", required = "values,shots" }
      assert.equal('{"detail":"no such execution"}', ask("GET", "/nothing").body)
      local answer = ask("POST", "/", { body = '{"values":[2]}' })
      assert.equal(422, answer.status)
      local entry = json.decode(answer.body).detail[1]
      assert.same({ "body", "shots" }, entry.loc)
      assert.equal("Field required", entry.msg)
      assert.equal(422, ask("POST", "/", { body = "{" }).status)
    end)

    it("words errors as WSO2's API manager does", function()
      g:settings { errors = "wso2" }
      local answer = ask("GET", "/", { token = "wrong" })
      assert.equal(401, answer.status)
      assert.equal("900901", json.decode(answer.body).code)
      assert.equal("Invalid Credentials", json.decode(answer.body).message)
    end)

    it("returns the health check of old gateways in place of the list", function()
      g:settings { health = true }
      assert.same({ status = "Service is up and running" }, json.decode(ask("GET", "/").body))
    end)

    it("returns logs as strings, as an empty body, as null, or as 404", function()
      local expected = {
        strings = { 200, '^%["execution accepted"' },
        blank = { 200, "^$" },
        null = { 200, "^null$" },
        ["204"] = { 204, "^$" },
        ["404"] = { 404, "no log" },
      }
      for form, answer in pairs(expected) do
        local id = start { simulate = { shape = { logs = form } } }
        local got = ask("GET", "/" .. id .. "/log")
        assert.equal(answer[1], got.status)
        assert.truthy(got.body:find(answer[2]))
      end
    end)

    it("responds to a start with a Location only", function()
      g:settings { start = "location", start_status = 202 }
      local answer = ask("POST", "/", { body = "{}" })
      assert.equal(202, answer.status)
      assert.equal("", answer.body)
      local id = answer.headers.location:match("[^/]+$")
      assert.equal(200, ask("GET", "/" .. id).status)
    end)

    it("returns a partial or unordered list, or forbids it", function()
      g:forget()
      g:create(10)
      g:settings { list_limit = 4, list_unordered = true }
      assert.equal(4, #json.decode(ask("GET", "/").body))
      g:settings { list_status = 403 }
      assert.equal(403, ask("GET", "/").status)
    end)

    it("leaves out _links, or makes relations arrays", function()
      local id = start { simulate = { shape = { links = "missing", embedded = "missing" } } }
      local result = json.decode(ask("GET", "/" .. id .. "/result").body)
      assert.is_nil(result._links)
      assert.is_nil(result._embedded)
      id = start { simulate = { shape = { links = "array" } } }
      result = json.decode(ask("GET", "/" .. id .. "/result").body)
      assert.truthy(result._links["hello.txt"][1].href)
    end)
  end)
end)

describe("the command of the simulator", function()
  local function output_of(words)
    local command = ("%s examples/gateway/main.lua %s 2>&1"):format(process.SERVER_LUA, words)
    local pipe <close> = assert(io.popen(command))
    return pipe:read "a"
  end

  it("says in one line that it ended because nothing happened", function()
    local text = output_of "--idle 0.1 --exports --token t"
    local lines = {}
    for line in text:gmatch "[^\n]+" do
      lines[#lines + 1] = line
    end
    assert.equal(3, #lines)
    assert.matches("^export QHUB_BASE_URL=http://127.0.0.1:%d+/acme/vqe/v1$", lines[1])
    assert.equal("export QHUB_TOKEN=t", lines[2])
    assert.equal("gateway: ended, since nothing happened for 0.1 s", lines[3])
  end)

  it("says in one line that its port is taken", function()
    local g = gateway.start()
    local text = output_of("--port " .. g.port)
    g:stop()
    local form = "gateway: cannot listen on 127.0.0.1:%d: Address already in use\n"
    assert.equal(form:format(g.port), text)
  end)
end)
