-- The engine of qhub.core: answers, requests, failures and streams, over real sockets, against a
-- server that misbehaves on demand.

local bench = require "spec.support.engine_bench"
local core = require "qhub.core"

local monotonic = core.system.monotonic
local request_of, start, step_until = bench.request_of, bench.start, bench.step_until
local finish, fetch, drain = bench.finish, bench.fetch, bench.drain
local status_of, body_of = bench.status_of, bench.body_of
local count, failure_of = bench.count, bench.failure_of

describe("core.engine", function()
  local server, engine, session

  setup(function()
    server = bench.start_server()
  end)

  teardown(bench.stop_server)

  before_each(function()
    engine, session = bench.open()
  end)

  after_each(bench.close)

  describe("a response", function()
    it("has status, headers and body", function()
      local transfer = fetch "/ok"
      assert.equal(200, status_of(transfer))
      assert.equal("ok", body_of(transfer))
      assert.equal("2", transfer:headers()["content-length"])
      assert.is_nil(transfer:headers()["x-missing"])
      assert.is_nil((transfer:failure()))
    end)

    it("has repeated headers joined, cookies kept apart, lines unfolded and trimmed", function()
      local headers = fetch("/repeated"):headers()
      assert.equal("one, two", headers["x-list"])
      assert.equal("a=1\nb=2", headers["set-cookie"])
      assert.equal("", headers["x-empty"])
      assert.equal("first second", headers["x-folded"])
      assert.equal("one, two", fetch("/repeated"):headers()["x-list"])
    end)

    it("is the final one: interim responses and trailers are dropped", function()
      assert.equal("final", fetch("/interim"):headers()["x-early"])
      local chunked = fetch "/chunked"
      assert.equal(15, #body_of(chunked))
      assert.is_nil(chunked:headers()["x-late"])
      assert.is_nil(chunked:headers()["x-early"])
    end)

    it("of 204, 304 and to HEAD has no body, and the connection stays in use", function()
      for _, code in ipairs { 204, 304 } do
        local transfer = fetch("/empty?code=" .. code)
        assert.equal(code, status_of(transfer))
        assert.equal("", body_of(transfer))
        assert.equal("yes", transfer:headers()["x-empty"])
      end
      local before = bench.connections()
      local head = fetch("/head", { method = "HEAD" })
      assert.equal("4", head:headers()["content-length"])
      assert.equal("", body_of(head))
      assert.is_nil((head:failure()))
      assert.equal(before, bench.connections())
    end)

    it("without a length ends with the connection", function()
      assert.equal("until the end", body_of(fetch("/until-close")))
    end)

    it("that redirects is returned, not followed", function()
      local transfer = fetch "/location"
      assert.equal(302, status_of(transfer))
      assert.equal("/ok", transfer:headers().location)
      assert.equal("moved", body_of(transfer))
    end)

    it("is decompressed, whether compression was requested or not", function()
      assert.equal("hello hello hello", body_of(fetch("/gzip", { decode = true })))
      assert.equal("hello hello hello", body_of(fetch("/gzip")))
      assert.equal("hello hello hello", drain(start("/gzip", { stream = 65536 })))
    end)
  end)

  describe("a request", function()
    local function echo(changes)
      local body = body_of(fetch("/echo?q=1", changes))
      return (body:gsub("Host: [^\r]*\r\n", "", 1))
    end

    it("is sent as given, plus Host and Accept-Encoding", function()
      assert.equal(
        "GET /echo?q=1 HTTP/1.1\r\nX-One: 1\r\nX-Two: 2\r\nAccept-Encoding: identity\r\n\r\n",
        echo { header_lines = "X-One: 1\nX-Two: 2\n" }
      )
      assert.truthy(echo({ decode = true }):find "Accept%-Encoding: [^\r]*gzip")
    end)

    it("with a body has its length and no unexpected headers", function()
      assert.equal(
        "POST /echo?q=1 HTTP/1.1\r\nX: y\r\nAccept-Encoding: identity\r\nContent-Length: 5\r\n\r\n"
          .. "a\0b\r\n",
        echo { method = "POST", body = "a\0b\r\n", header_lines = "X: y\n" }
      )
    end)

    it("may have any method, with a body or without", function()
      for _, method in ipairs { "POST", "PUT", "PATCH" } do
        assert.truthy(echo({ method = method }):find("^" .. method .. " .*Content%-Length: 0\r\n"))
      end
      for _, method in ipairs { "PUT", "DELETE", "PATCH", "GET", "QUERY" } do
        local text = echo { method = method, body = "body" }
        assert.truthy(text:find("^" .. method .. " .*Content%-Length: 4\r\n.*\r\nbody$"))
      end
      assert.truthy(echo({ method = "DELETE" }):find "^DELETE ")
      assert.truthy(echo({ method = "OPTIONS" }):find "^OPTIONS ")
    end)

    it("may have empty headers, and many", function()
      local lines = { "X-Empty;", "X-Blank: ", "X-Colon: a: " }
      for i = 1, 300 do
        lines[#lines + 1] = ("X-%d: %s"):format(i, ("v"):rep(i))
      end
      local text = echo { header_lines = table.concat(lines, "\n") .. "\n" }
      assert.truthy(text:find("X-Empty:\r\nX-Blank:\r\nX-Colon: a:\r\n", 1, true))
      assert.truthy(text:find("X-300: " .. ("v"):rep(300) .. "\r\n", 1, true))
    end)

    it("leaves out default headers that are removed", function()
      local text = echo { header_lines = "Accept-Encoding:\n", decode = true }
      assert.is_nil(text:lower():find("accept-encoding", 1, true))
    end)

    it("inherits nothing from an earlier request on the same handle", function()
      local plain = echo()
      local forms = {
        { method = "POST", body = "secret", header_lines = "Authorization: Bearer secret\n" },
        { method = "DELETE", header_lines = "Cookie: secret=1\n" },
        { method = "HEAD" },
        { method = "PUT", body = ("secret"):rep(50000) },
        { decode = true },
      }
      for _, form in ipairs(forms) do
        fetch("/repeated", form)
        assert.equal(plain, echo())
      end
    end)

    it("asks its own server for its own target, whatever the one before it asked", function()
      local other <close> = bench.new_server()
      local long = "/ok?" .. ("n=%2f&"):rep(2000)
      local wanted = {
        { server, "/ok" },
        { server, "/ok?q=1" },
        { server, "/a/%2e/../%c3%a9//b?x?/#part", "/a/%2e/../%c3%a9//b?x?/" },
        { other, "/ok" },
        { other, "", "/" },
        { other, "?q=1", "/?q=1" },
        { server, long },
        { server, "/\u{e9}", "/%c3%a9" },
        { server, "/ok" },
        { server, "/ok" },
      }
      local seen = { [server] = #server:requests(), [other] = 0 }
      for _, one in ipairs(wanted) do
        local asked = one[1]
        fetch(asked.url .. one[2])
        seen[asked] = seen[asked] + 1
        local requests = asked:requests()
        assert.equal(seen[asked], #requests)
        assert.equal(one[3] or one[2], requests[#requests].target)
        assert.matches("Host: " .. asked.origin:match "//(.*)", requests[#requests].head, 1, true)
      end
    end)

    it("with a space or a line end in its URL is never sent", function()
      fetch "/ok"
      local before = #server:requests()
      for _, path in ipairs { "/o k", "/ok\r\nX: y", "/ok?\n", "/\1", "/ok\127" } do
        assert.equal("network", failure_of(finish(bench.send(session, request_of(path)))).kind)
      end
      assert.equal(before, #server:requests())
    end)

    it("that cannot be sent fails at once or when it is polled", function()
      for _, url in ipairs { "ftp://127.0.0.1/", "http://a:b@127.0.0.1/", "file:///etc/fstab" } do
        assert.equal("network", failure_of(finish(bench.send(session, request_of(url)))).kind)
      end
    end)

    it("with a field of the wrong type raises", function()
      for name, value in pairs {
        method = {},
        url = false,
        body = 12,
        header_lines = { "x" },
        timeout = "soon",
        max_bytes = -1,
        stream = 1.5,
      } do
        local request = request_of("/ok", { [name] = value })
        assert.has_error(function()
          bench.send(session, request)
        end)
      end
      assert.equal(0, engine:active())
    end)
  end)

  describe("a failure", function()
    it("to connect counts as not sent", function()
      local transfer = fetch "http://127.0.0.1:1/path?token=secret"
      local failure = failure_of(transfer)
      assert.equal("network", failure.kind)
      assert.equal("cannot connect to 127.0.0.1:1: Connection refused", failure.message)
      assert.same({ phase = "connect", sent = false, stale = false, code = 7 }, failure.details)
      assert.is_nil(status_of(transfer))
      assert.same({}, transfer:headers())
      assert.is_nil(body_of(transfer))
    end)

    it("to resolve the host counts as not sent", function()
      local failure = failure_of(fetch "http://no-such-host.invalid/")
      assert.equal("network", failure.kind)
      assert.is_false(failure.details.sent)
      assert.truthy(failure.message:find "no%-such%-host%.invalid")
    end)

    it("may come before the response", function()
      for _, path in ipairs { "/close-after-request", "/garbage", "/truncate-headers" } do
        local failure = failure_of(fetch(path))
        assert.equal("network", failure.kind, path)
        assert.is_true(failure.details.sent)
        assert.is_false(failure.details.stale)
        assert.equal("read", failure.details.phase)
      end
    end)

    it("of a reset connection counts as sent", function()
      local body = ("x"):rep(4 << 20)
      local failure = failure_of(fetch("/reset", { method = "POST", body = body }))
      assert.equal("network", failure.kind)
      assert.is_true(failure.details.sent)
      assert.is_false(failure.details.stale)
    end)

    it("in the body is reported after the bytes received", function()
      local transfer = fetch "/truncate"
      assert.equal("network", failure_of(transfer).kind)
      assert.equal(("x"):rep(50), body_of(transfer))
      assert.equal(200, status_of(transfer))
      transfer = start("/truncate", { stream = 16 })
      assert.equal(("x"):rep(50), drain(transfer, 7))
      assert.equal("network", failure_of(transfer).kind)
      transfer = fetch "/truncate-chunked"
      assert.equal("halfrest", body_of(transfer))
      assert.equal("network", failure_of(transfer).kind)
    end)

    it("to decompress the body is a network failure", function()
      for _, path in ipairs { "/bad-chunk", "/unknown-encoding" } do
        local failure = failure_of(fetch(path))
        assert.equal("network", failure.kind)
        assert.is_false(failure.details.stale)
      end
    end)

    it("names the limit of open files when it is reached #process", function()
      local output = bench.run_script [[
        local held = {}
        repeat
          local file = io.open "/dev/null"
          held[#held + 1] = file
        until not file
        local transfer = start "/ok"
        while transfer:state() ~= "done" do
          engine:step()
        end
        print(select(2, transfer:failure()))
      ]]
      assert.matches("too many open files: raise ulimit %-n", output)
    end)

    it("names a response head that arrives too slowly #timing", function()
      local transfer = fetch("/drip-head", { timeout = 0.3 })
      assert.equal("timeout", failure_of(transfer).kind)
      assert.matches("head of the response .* came too slowly", failure_of(transfer).message)
    end)

    it("by size comes at the limit of decompressed bytes, which are kept", function()
      local transfer = fetch("/bytes?n=1000", { max_bytes = 999 })
      assert.equal("too_large", failure_of(transfer).kind)
      assert.equal(999, #body_of(transfer))
      assert.equal(1000, #body_of(fetch("/bytes?n=1000", { max_bytes = 1000 })))
      transfer = fetch("/bomb?n=20000000", { max_bytes = 100000 })
      assert.equal("too_large", failure_of(transfer).kind)
      assert.equal(("\0"):rep(100000), body_of(transfer))
    end)

    it("of endless headers says that the head is too large", function()
      for _, path in ipairs { "/headers?n=60&size=9000", "/headers?n=3000" } do
        local transfer = fetch(path)
        assert.equal("network", failure_of(transfer).kind)
        assert.matches("head of the response .* is too large", failure_of(transfer).message)
        assert.is_nil(status_of(transfer))
      end
    end)
  end)

  describe("a kept connection", function()
    it("is reused, but not by another session", function()
      local first = bench.connections()
      assert.equal(first, bench.connections())
      local other = engine:session {}
      assert.equal(first + 1, bench.connections(other))
      session:close()
      assert.equal(first + 1, bench.connections(other))
    end)

    it("that was closed is reported as stale, and libcurl sends nothing twice", function()
      for _, way in ipairs { "/close-next", "/reset-next" } do
        for _, method in ipairs { "GET", "POST" } do
          local body = method == "POST" and "once" or nil
          local path = "/status?code=200&n=" .. way .. method
          local before = count "/status"
          fetch(way)
          local failure = failure_of(fetch(path, { method = method, body = body }))
          assert.equal("network", failure.kind)
          assert.is_true(failure.details.stale)
          assert.is_true(failure.details.sent)
          assert.is_true(count "/status" - before <= 1)
          assert.equal(200, status_of(fetch(path, { method = method, body = body })))
        end
      end
    end)
  end)

  describe("silence", function()
    it("before the response is a timeout of phase read #timing", function()
      local began = monotonic()
      local failure = failure_of(fetch("/silence", { timeout = 0.15 }))
      local seconds = monotonic() - began
      assert.equal("timeout", failure.kind)
      assert.equal("read", failure.details.phase)
      assert.is_true(failure.details.sent)
      assert.is_true(seconds >= 0.15 and seconds < 2, seconds)
    end)

    it("in the body is a timeout after the bytes received #timing", function()
      local transfer = start("/silence-in-body", { timeout = 0.1, stream = 1000 })
      assert.equal("half", drain(transfer))
      assert.equal("timeout", failure_of(transfer).kind)
    end)

    it("while connecting is a timeout of phase connect #timing", function()
      -- The server waits for the end of a line, which is not what TLS begins with.
      local url = server.url:gsub("^http", "https")
      local failure = failure_of(fetch(url, { connect_timeout = 0.15, timeout = 30 }))
      assert.equal("timeout", failure.kind)
      assert.equal("connect", failure.details.phase)
      assert.is_false(failure.details.sent)
    end)

    it("does not time out while bytes arrive slowly, up or down #timing", function()
      local transfer = fetch("/drip?n=60&ms=20", { timeout = 0.6 })
      assert.is_nil((transfer:failure()))
      assert.equal(60, #body_of(transfer))
      local body = ("x"):rep(24 << 20)
      local changes = { method = "POST", body = body, timeout = 1.2 }
      transfer = fetch("/slow-upload", changes)
      assert.is_nil((transfer:failure()))
      assert.equal("taken", body_of(transfer))
    end)

    it("does not time out while the program does something else #timing", function()
      local transfer = start("/later?ms=30", { timeout = 0.1 })
      engine:step(0.01)
      local until_then = monotonic() + 0.3
      repeat
      until monotonic() >= until_then
      assert.equal("later", body_of(finish(transfer)))
    end)

    it("does not time out while the reader pauses #timing", function()
      local transfer = start("/bytes?n=4000000", { stream = 65536, timeout = 0.1 })
      local paused = false
      local body = drain(transfer, nil, function()
        if not paused then
          paused = true
          local until_then = monotonic() + 0.4
          repeat
            engine:step(0.05)
          until monotonic() >= until_then
        end
      end)
      assert.is_nil((transfer:failure()))
      assert.equal(4000000, #body)
    end)
  end)

  describe("a stream", function()
    it("opens with its headers and ends with its last byte", function()
      local transfer = start("/bytes?n=300000", { stream = 4096 })
      assert.equal("active", transfer:state())
      step_until(function()
        return transfer:state() ~= "active"
      end)
      assert.equal("open", transfer:state())
      assert.equal(200, status_of(transfer))
      assert.equal(300000, #drain(transfer, 1000))
      assert.is_nil((transfer:failure()))
      assert.is_false(transfer:read(10))
    end)

    it("loses, repeats and reorders no byte, for any chunk size #large", function()
      local whole = body_of(fetch("/bytes?n=3000000"))
      assert.equal(3000000, #whole)
      for _, sizes in ipairs { { 1, 5000 }, { 20000, 10001 }, { 1 << 18, 1 << 16 } } do
        local transfer = start("/bytes?n=3000000", { stream = sizes[1] })
        assert.is_true(drain(transfer, sizes[2]) == whole)
      end
      local chunked = start("/chunked?n=1000&size=3000", { stream = 10000 })
      assert.is_true(drain(chunked, 999) == whole)
    end)

    it(
      "goes into a part file in whole blocks, and what is left when asked or at its end",
      function()
        local whole = body_of(fetch("/bytes?n=3000000"))
        for _, before in ipairs { "", "xyz" } do
          local target = os.tmpname()
          os.remove(target)
          local part <close> = assert(core.partfile.create(target))
          assert(part:append(before))
          local transfer = start("/bytes?n=3000000", { stream = 1 << 18 })
          step_until(function()
            return transfer:state() ~= "active" and (transfer:read(1 << 30, part) or 0) > 0
          end)
          if before == "" then assert.equal(0, part:size() % (1 << 18)) end
          local size = part:size()
          assert.is_true((transfer:read(1000, part) or 0) <= 1000)
          assert.is_true(part:size() <= size + 1000)
          step_until(function()
            return transfer:read(1 << 30, part, part:size() > 1000000) == false
          end)
          local file <close> = assert(io.open(part:path(), "rb"))
          assert.is_true(file:read "a" == before .. whole)
        end
      end
    )

    it("keeps the order while it grows with a part of it read #large", function()
      local transfer = start("/slow-then-fast", { stream = 1 << 22 })
      local first
      step_until(function()
        first = transfer:state() == "open" and transfer:read(500) or nil
        return first
      end)
      finish(transfer)
      assert.is_true(first .. drain(transfer) == body_of(fetch("/bytes?n=3000000")))
    end)

    it("stops receiving when it is not read #large", function()
      local transfer = start("/bytes?n=50000000", { stream = 65536 })
      local until_then = monotonic() + 0.3
      repeat
        engine:step(0.05)
      until monotonic() >= until_then
      assert.is_true(#transfer:read(50000000) < 1000000)
      transfer:close()
    end)

    it("returns a compressed body whole, however far it expands #large", function()
      local transfer = start("/bomb?n=5000000", { stream = 10000 })
      assert.is_true(drain(transfer) == ("\0"):rep(5000000))
      assert.is_nil((transfer:failure()))
    end)

    it("that pauses does not stop the others", function()
      local stopped = start("/bytes?n=50000000", { stream = 65536 })
      for _ = 1, 20 do
        assert.equal("ok", body_of(fetch("/ok")))
      end
      assert.equal("open", stopped:state())
    end)
  end)
end)
