-- Result files as programs read them, over the real network: every byte once, in order, whatever
-- breaks on the way. What only a hostile server does is in stream_spec.lua.

local digest = require "openssl.digest"
local gateway = require "spec.support.gateway"
local loop = require "qhub.tasks.loop"
local qhub = require "qhub"
local scripted = require "spec.support.scripted"
local shared = require "spec.support.shared"

local NAME = "result.bin"

local function sha256(text)
  return (
    digest.new("sha256"):final(text):gsub(".", function(byte)
      return ("%02x"):format(byte:byte())
    end)
  )
end

describe("a result file", function()
  local server = shared(gateway.start)
  local client, id

  before_each(function()
    client = qhub.HubServiceClient { base_url = server.url, token = server.token }
    id = nil
  end)

  after_each(function()
    client:close()
  end)

  -- Opens a file of a new run; `spec` is its size, its content, or what the simulator takes.
  local function open(spec, options)
    local simulate = { pending_ms = 0, running_ms = 0, files = { [NAME] = spec } }
    id = server:create(1, { simulate = simulate })[1]
    return client:get_result_file(id, NAME, options)
  end

  local function fault(rule, fault_of_rule)
    rule.fault = fault_of_rule
    rule.match = rule.match or { operation = "get_result_file" }
    server:fault(rule)
  end

  -- The requests for files so far.
  local function asked()
    local list = {}
    for _, request in ipairs(server:requests().requests) do
      if request.operation == "get_result_file" then list[#list + 1] = request end
    end
    return list
  end

  local function assert_whole(file, text)
    local known = server:file(id, NAME)
    assert.equal(known.size, #text)
    assert.equal(known.sha256, sha256(text))
    assert.equal(known.size, file.received)
  end

  -- Lets retries wait for nothing until the test ends.
  local function without_delays()
    local sleep = stub(loop, "sleep_until").returns(true)
    finally(function()
      sleep:revert()
    end)
  end

  -- The message of the usage error that `fn(...)` raises; it blames this file.
  local function usage_error(fn, ...)
    local ok, message = pcall(fn, ...)
    assert.is_false(ok)
    assert.matches("^spec/files/file_spec.lua:%d+: ", message)
    return message
  end

  -- Everything that the file hands out, and the error that ended it.
  local function drain(file, n)
    local chunks = {}
    while true do
      local chunk, err = file:read(n)
      if not chunk then return table.concat(chunks), err end
      chunks[#chunks + 1] = chunk
    end
  end

  describe("without faults", function()
    it("has its name, size, type and headers before it is read", function()
      local file = assert(open { content = "hello", type = "text/plain" })
      assert.equal(NAME, file.name)
      assert.equal(5, file.size)
      assert.equal("text/plain", file.content_type)
      assert.equal("5", file.headers["Content-Length"])
      assert.equal(0, file.received)
      assert.is_nil(file.no_such_field)
      assert.matches('qhub.File "result.bin", 0 of 5 bytes', tostring(file), 1, true)
      file:close()
    end)

    it("is an iterator over chunks of at most chunk_size", function()
      local chunks = {}
      local file, second, third, closing = open(300000, { chunk_size = 4096 })
      assert.is_nil(second)
      assert.is_nil(third)
      assert.equal(file, closing)
      for chunk in file, second, third, closing do
        assert.is_true(#chunk >= 1 and #chunk <= 4096)
        chunks[#chunks + 1] = chunk
      end
      assert_whole(file, table.concat(chunks))
    end)

    it("returns exactly one value from each call that succeeds", function()
      local file = assert(open(10))
      assert.equal(1, select("#", file:read(4)))
      assert.equal(1, select("#", file:read()))
      assert.equal(1, select("#", file:read()))
      local path = os.tmpname()
      assert.equal(1, select("#", assert(open(10)):save(path)))
      os.remove(path)
    end)

    it("is read in pieces of at most n bytes until nil, and then nil again", function()
      local file = assert(open(100000))
      local first = assert(file:read(7))
      assert.is_true(#first <= 7)
      assert.equal(#first, file.received)
      assert_whole(file, first .. drain(file, 1000))
      assert.same({ nil, nil }, { file:read() })
      assert.equal("", file:read_all())
    end)

    it("is read whole, or the rest of it", function()
      local file = assert(open(500000))
      local first = file:read(10)
      assert_whole(file, first .. assert(file:read_all()))
    end)

    it("may be empty, or of unknown size", function()
      local empty = assert(open { content = "" })
      assert.equal(0, empty.size)
      assert.is_nil(empty:read())
      assert.equal("", assert(open { content = "" }):read_all())
      local unknown = assert(open { size = 200000, chunked = true })
      assert.is_nil(unknown.size)
      assert_whole(unknown, assert(unknown:read_all()))
    end)

    it("is requested without compression", function()
      assert(open(10)):close()
      local headers = asked()[1].headers
      assert.equal("identity", headers["accept-encoding"] or "identity")
      assert.equal("*/*", headers.accept)
    end)

    it("is an error at once when it does not exist", function()
      local file, err = client:get_result_file("no-such-run", NAME)
      assert.is_nil(file)
      assert.equal("api", err.kind)
      assert.equal(404, err.status_code)
    end)

    it("refuses wrong arguments at the caller's line", function()
      local file <close> = assert(open(10))
      for _, n in ipairs { 0, -1, 1.5, "x", {} } do
        local message = usage_error(function()
          file:read(n)
        end)
        assert.matches("file:read: the number of bytes", message)
      end
      assert.matches(
        "qhub.File expected",
        usage_error(function()
          file.read {}
        end)
      )
    end)

    it("is closed by break, and cannot be read afterwards", function()
      local file, second, third, closing = open(1000000)
      for _ in file, second, third, closing do -- luacheck: ignore 512
        break
      end
      local message = usage_error(function()
        file:read()
      end)
      assert.matches('file:read: the file "result.bin" is closed', message, 1, true)
      assert.is_true(file:close())
      assert.matches("(closed)", tostring(file), 1, true)
    end)
  end)

  describe("whose connection breaks", function()
    it("is resumed where it broke, with If-Range and the current token", function()
      local tokens = 0
      client = qhub.HubServiceClient {
        base_url = server.url,
        token = function()
          tokens = tokens + 1
          return server.token
        end,
      }
      fault({}, { truncate = 30000 })
      local file = assert(open(100000))
      assert_whole(file, assert(file:read_all()))
      local requests = asked()
      assert.equal(2, #requests)
      assert.is_nil(requests[1].range)
      assert.equal("bytes=30000-", requests[2].range)
      assert.equal(server:file(id, NAME).etag, requests[2].headers["if-range"])
      assert.equal(requests[1].target, requests[2].target)
      assert.equal(206, requests[2].status)
      assert.equal(2, tokens)
    end)

    it("is byte for byte the same after 20 random breaks", function()
      without_delays()
      fault({ times = 20 }, { random_break = 150000 })
      local file = assert(open(4000000))
      assert_whole(file, assert(file:read_all()))
      assert.equal(21, #asked())
    end)

    it("survives resets and silence", function()
      fault({}, { reset = 80000 })
      fault({}, { hang = "body", after = 20000 })
      local file = assert(open(200000, { timeout = 0.2 }))
      assert_whole(file, assert(file:read_all()))
      assert.is_true(#asked() >= 3)
    end)

    it("is resumed with chunks of one byte as well as with large ones", function()
      fault({ times = 2 }, { truncate = 17000 })
      local file = assert(open(40000))
      assert_whole(file, (drain(file, 1)))
    end)

    it("is requested again when nothing was handed out", function()
      fault({}, { truncate = 0, headers = { ["Retry-After"] = "0" } })
      without_delays()
      local file = assert(open(100000))
      assert_whole(file, assert(file:read_all()))
      local requests = asked()
      assert.equal(2, #requests)
      assert.is_nil(requests[2].range)
    end)

    it("calls on_response once, and logs where it resumed", function()
      local responses, events = 0, {}
      client = qhub.HubServiceClient {
        base_url = server.url,
        token = server.token,
        on_response = function(response)
          responses = responses + 1
          assert.equal(200, response.status_code)
        end,
        logging = {
          level = "info",
          logger = function(level, message, fields)
            events[#events + 1] = { level, message, fields.offset }
          end,
        },
      }
      fault({ times = 2 }, { truncate = 20000 })
      assert(assert(open(50000)):read_all())
      assert.equal(1, responses)
      assert.same(
        { { "info", "done" }, { "warn", "resume", 20000 }, { "warn", "resume", 40000 } },
        events
      )
    end)

    it("is read again from the start by a server that ignores Range", function()
      fault({}, { truncate = 40000 })
      fault({}, { ignore_range = true, truncate = 70000 })
      fault({}, { ignore_range = true })
      local file = assert(open(100000))
      assert_whole(file, assert(file:read_all()))
      assert.equal(3, #asked())
    end)

    it("is read again from the start when its bytes are encoded, never by a range", function()
      fault({}, { content_encoding = "gzip", truncate = 150000 })
      fault({}, { content_encoding = "gzip" })
      local file = assert(open(200000))
      assert.is_nil(file.size)
      assert_whole(file, assert(file:read_all()))
      local requests = asked()
      assert.equal(2, #requests)
      assert.is_nil(requests[2].range)
    end)

    it("uses Last-Modified where there is no strong ETag", function()
      for _, spec in ipairs { { size = 90000, etag = false }, { size = 90000, weak = true } } do
        server:clear()
        fault({}, { truncate = 30000 })
        local file = assert(open(spec))
        assert_whole(file, assert(file:read_all()))
        local second = asked()[2]
        assert.equal(206, second.status)
        assert.equal(file.headers["last-modified"], second.headers["if-range"])
      end
    end)

    it("fails without a validator, after handing out what was received", function()
      fault({}, { truncate = 30000 })
      local file = assert(open { size = 90000, etag = false, last_modified = false })
      local text, err = drain(file)
      assert.equal(30000, #text)
      assert.equal("network", err.kind)
      assert.matches("cannot be resumed", err.message)
      assert.equal(1, #asked())
      assert.same({ nil, err }, { file:read() })
      assert.same({ nil, err }, { file:read_all() })
    end)

    it("fails when the file has changed, and never mixes the versions", function()
      for _, ignored in ipairs { false, true } do
        local changed = { change_etag = true, ignore_range = ignored }
        server:clear()
        local before = assert(assert(open(90000)):read_all())
        fault({}, { truncate = 30000 })
        fault({}, changed)
        local text, err = drain(assert(client:get_result_file(id, NAME)))
        assert.equal(before:sub(1, 30000), text)
        assert.equal("network", err.kind)
        assert.matches("the file changed", err.message)
        assert.are_not.equal(sha256(before), server:file(id, NAME).sha256)
      end
    end)

    it("is not resumed with max_retries = 0", function()
      fault({}, { truncate = 30000 })
      local file = assert(open(90000, { max_retries = 0 }))
      local ok, err = pcall(function()
        for _ in file do -- luacheck: ignore
        end
      end)
      assert.is_false(ok)
      assert.equal("network", err.kind)
      assert.equal(30000, file.received)
      assert.equal(1, #asked())
    end)

    it("gets at most max_retries for each break", function()
      without_delays()
      fault({}, { truncate = 30000 })
      fault({}, { reset = "headers" })
      fault({}, { truncate = 20000 })
      fault({}, { status = 503 })
      fault({ times = 3 }, { close_after_request = true })
      local file = assert(open(90000))
      local text, err = drain(file)
      assert.equal(50000, #text)
      assert.equal("network", err.kind)
      assert.equal(5, #asked())
      assert.equal(5, err.attempts)
    end)

    it("waits as the gateway asks, and not at all after much was received", function()
      local delays = {}
      local sleep = stub(loop, "sleep_until").invokes(function(due)
        delays[#delays + 1] = due - loop.now()
        return true
      end)
      finally(function()
        sleep:revert()
      end)
      fault({}, { truncate = 30000 })
      fault({}, { status = 503, headers = { ["Retry-After"] = "7" } })
      fault({}, { truncate = 100 })
      local file = assert(open(90000))
      local text = assert(file:read_all())
      assert_whole(file, text)
      assert.equal(2, #delays)
      assert.is_true(delays[1] > 6 and delays[1] <= 7 * 1.2)
      assert.is_true(delays[2] > 0.5 and delays[2] <= 1.25)
    end)

    it("requests another token when the old one has expired", function()
      local second, rejections = "second-token", {}
      client = qhub.HubServiceClient {
        base_url = server.url,
        token = function(rejected)
          rejections[#rejections + 1] = rejected
          return rejected and second or server.token
        end,
      }
      fault({}, { truncate = 30000 })
      local file = assert(open(90000))
      server:settings { token = second }
      local text = assert(file:read_all())
      server:settings { token = server.token }
      assert_whole(file, text)
      assert.same({ server.token }, rejections)
      local statuses = {}
      for _, request in ipairs(asked()) do
        statuses[#statuses + 1] = request.status
      end
      assert.same({ 200, 401, 206 }, statuses)
    end)

    it("fails with the gateway's status when the rest is refused", function()
      fault({}, { truncate = 30000 })
      fault({}, { status = 403, body = { message = "no longer" } })
      local file = assert(open(90000))
      local text, err = drain(file)
      assert.equal(30000, #text)
      assert.equal("api", err.kind)
      assert.equal(403, err.status_code)
    end)
  end)

  describe("of any size", function()
    it("takes constant memory, and is intact after 20 breaks #large #process", function()
      local script = os.tmpname()
      local out <close> = assert(io.open(script, "w"))
      out:write(([[
        local qhub = require "qhub"
        local client = qhub.HubServiceClient { base_url = %q, token = %q }
        local sum <close> = assert(io.popen("sha256sum", "w"))
        for chunk in assert(client:get_result_file(arg[1], %q)) do
          sum:write(chunk)
        end
        sum:close()
        print(io.open("/proc/self/status"):read("a"):match "VmHWM:%%s*(%%d+)")
      ]]):format(server.url, server.token, NAME))
      out:close()
      local function peak_of(size)
        local run = server:create(1, {
          simulate = { pending_ms = 0, running_ms = 0, files = { [NAME] = size } },
        })[1]
        local child <close> = assert(
          io.popen(
            ("ASAN_OPTIONS=quarantine_size_mb=1 LUA_PATH='%s' LUA_CPATH='%s' lua5.4 %s %s"):format(
              package.path,
              package.cpath,
              script,
              run
            )
          )
        )
        local sum, peak = child:read("a"):match "^(%x+)  %-\n(%d+)\n$"
        assert.equal(server:file(run, NAME).sha256, sum)
        return tonumber(peak)
      end
      local small = peak_of(1 << 20)
      fault({ times = 20 }, { random_break = 8 << 20 })
      local large = peak_of(200 << 20)
      os.remove(script)
      assert.equal(22, server:count(nil, "/result/"))
      assert.is_true(large - small < 4096, ("%d and %d KiB"):format(small, large))
    end)
  end)

  describe("and its time", function()
    it("is bounded by total_timeout until its first byte only", function()
      fault({}, { drip = { bytes = 2000, ms = 20 } })
      local file = assert(open(40000, { total_timeout = 0.2 }))
      assert_whole(file, assert(file:read_all()))
    end)

    it("does not end a file whose bytes arrived in time when the program reads late", function()
      local other <close> = scripted.start()
      other:play { "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", { hold = true }, "later" }
      fault({}, { redirect = other.origin .. "/" })
      local file = assert(open(5, { total_timeout = 0.5 }))
      other:release()
      os.execute "sleep 0.6"
      local text, err = file:read_all()
      assert.equal("later", text, err)
    end)

    it("ends at total_timeout when no byte arrives", function()
      fault({ times = -1 }, { hang = "body" })
      local file = assert(open(40000, { total_timeout = 0.1 }))
      local chunk, err = file:read()
      assert.is_nil(chunk)
      assert.equal("timeout", err.kind)
      assert.equal("total", err.phase)
      assert.equal(1, #asked())
    end)
  end)

  describe("closed early or shared", function()
    it("is cancelled when the client is closed", function()
      fault({}, { hang = "body", after = 20000 })
      local file = assert(open(90000))
      assert(file:read())
      client:close()
      local text, err = drain(file)
      assert.is_true(#text <= 20000)
      assert.equal("cancelled", err.kind)
      assert.equal(1, #asked())
    end)

    it("is cancelled when the client is closed under a task that reads", function()
      fault({}, { hang = "body", after = 20000 })
      local text, err = qhub.tasks.run(function()
        local file = assert(open(90000))
        local task = qhub.tasks.spawn(drain, file)
        qhub.tasks.spawn(function()
          while file.received < 20000 do
            qhub.tasks.sleep(0.001)
          end
          client:close()
        end)
        return task:join()
      end)
      assert.equal(20000, #text)
      assert.equal("cancelled", err.kind)
    end)

    it("is cancelled when it is closed, or the task, while a task reads it", function()
      for _, stop in ipairs { "file", "task" } do
        fault({}, { hang = "body", after = 20000 })
        local text, err = qhub.tasks.run(function()
          local file = assert(open(90000))
          local task = qhub.tasks.spawn(drain, file)
          qhub.tasks.spawn(function()
            while file.received < 20000 do
              qhub.tasks.sleep(0.001)
            end
            if stop == "file" then
              file:close()
            else
              task:cancel()
            end
          end)
          return task:join()
        end)
        assert.equal(20000, #text)
        assert.equal("cancelled", err.kind)
      end
    end)

    it("is not read by two tasks at once", function()
      fault({}, { drip = { bytes = 100, ms = 5 } })
      qhub.tasks.run(function()
        local file = assert(open(3000))
        local first = qhub.tasks.spawn(function()
          return file:read_all()
        end)
        local second = qhub.tasks.spawn(function()
          return pcall(file.read, file)
        end)
        local ok, message = second:join()
        assert.is_false(ok)
        assert.matches("another task", message)
        assert_whole(file, assert(first:join()))
      end)
    end)

    it("is released when the program's token function raises", function()
      local reason, calls = {}, 0
      client = qhub.HubServiceClient {
        base_url = server.url,
        token = function()
          calls = calls + 1
          return calls == 1 and server.token or error(reason)
        end,
      }
      fault({}, { truncate = 30000 })
      local file = assert(open(90000))
      local ok, err = pcall(drain, file)
      assert.is_false(ok)
      assert.equal(reason, err)
      assert.matches(
        "is closed",
        usage_error(function()
          file:read()
        end)
      )
    end)

    it("is read beside another one, whichever has something at which moment", function()
      local odd <close> = scripted.start()
      local head = "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"
      odd:route {
        ["/svc/v1/1/result/late"] = { head, { hold = true }, "late", { hang = true } },
        ["/svc/v1/1/result/early"] = { head, { pause = 100 }, "early", { hang = true } },
      }
      local own <close> = qhub.HubServiceClient { base_url = odd.url, token = "t" }
      local late <close> = assert(own:get_result_file("1", "late", { total_timeout = 5 }))
      local early <close> = assert(own:get_result_file("1", "early"))
      -- The bytes that are waited for come between those of the other file and the look for what
      -- else became ready.
      local methods, calls = getmetatable(loop.engine()).__index, 0
      local step = methods.step
      function methods.step(engine)
        methods.step, calls = step, calls + 1
        odd:release()
        repeat
          local other = engine:ready()
        until not other
        return step(engine, 5)
      end
      assert.equal("late", (assert(late:read())))
      assert.equal(1, calls)
      assert.equal("early", (assert(early:read())))
    end)

    it("is kept apart from others that break at the same time", function()
      without_delays()
      fault({ times = 40 }, { random_break = 60000 })
      qhub.tasks.run(function()
        local list = {}
        for index = 1, 8 do
          list[index] = qhub.tasks.spawn(function()
            local run = server:create(1, {
              simulate = { pending_ms = 0, running_ms = 0, files = { [NAME] = 300000 + index } },
            })[1]
            local file = assert(client:get_result_file(run, NAME, { max_retries = 50 }))
            local text = assert(file:read_all())
            assert.equal(server:file(run, NAME).sha256, sha256(text))
          end)
        end
        local _, errors = qhub.tasks.gather(list)
        assert.is_nil(errors)
      end)
    end)
  end)
end)
