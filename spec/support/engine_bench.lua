-- An engine of qhub.core, a session of it and a scripted server, for the specs of the engine.
--
-- Responsible for: what the server does at which path, harmless requests, waiting for transfers,
-- and programs in an interpreter of their own. `bench.open()` before each test sets `bench.engine`
-- and `bench.session`, `bench.close()` after it closes them; the server serves a whole file of
-- specs, from `bench.start_server()` to `bench.stop_server()`.

local core = require "qhub.core"
local process = require "spec.support.process"
local scripted = require "spec.support.scripted"

local monotonic = core.system.monotonic

local bench = {}

-- ── What the server does ─────────────────────────────────────────────────────────────────────────

local KEEP = { keep = true }
local OK = "HTTP/1.1 200 OK\r\n"
local CHUNKED = OK .. "Transfer-Encoding: chunked\r\nTrailer: X-Late\r\n\r\n"

local function head(length)
  return OK .. ("Content-Length: %d\r\n\r\n"):format(length)
end

-- So many of the same byte, a multiple of 1,000; the first of them come with the head.
local function bytes(n)
  local block = ("x"):rep(1000)
  return { head(n) .. block, { times = n // 1000 - 1, text = block }, KEEP }
end

-- A chunked body of `count` pieces of `text`, with trailers.
local function chunked(text, size)
  local chunks = {}
  for first = 1, #text, size do
    local piece = text:sub(first, first + size - 1)
    chunks[#chunks + 1] = ("%x\r\n%s\r\n"):format(#piece, piece)
  end
  local trailers = "0\r\nX-Late: trailer\r\nX-Early: changed\r\n\r\n"
  return { CHUNKED .. table.concat(chunks) .. trailers, KEEP }
end

-- A response whose body is what this command writes, compressed.
local function gzip(command)
  local pipe <close> = assert(io.popen(command .. " | gzip -9n"))
  return scripted.kept("200 OK", pipe:read "a", { "Content-Encoding: gzip" })
end

local function fields(count, size)
  local lines = {}
  for i = 1, count do
    lines[i] = ("X-Field-%d: %s"):format(i, ("v"):rep(size))
  end
  return scripted.kept("200 OK", "many", lines)
end

-- A body of n bytes, a multiple of 1,000, in which a lost, repeated or moved byte shows.
local function mixed(n)
  local words = {}
  for i = 1, 124 do
    words[i] = ("%08x"):format(i * 2654435761 & 0xFFFFFFFF)
  end
  local rest, blocks = table.concat(words), {}
  for i = 1, n // 1000 do
    blocks[i] = ("%08d"):format(i) .. rest
  end
  return table.concat(blocks)
end

local function routes()
  local large = mixed(3000000)
  local ok = scripted.response("200 OK", "ok")
  local later = scripted.response("200 OK", "later")
  local all = {
    ["/ok"] = { ok, KEEP },
    ["/status"] = { ok, KEEP },
    ["/echo"] = { { echo = true }, KEEP },
    ["/empty?code=204"] = { "HTTP/1.1 204 Empty\r\nX-Empty: yes\r\n\r\n", KEEP },
    ["/empty?code=304"] = { "HTTP/1.1 304 Empty\r\nX-Empty: yes\r\n\r\n", KEEP },
    ["/head"] = { head(4), KEEP },
    ["/bytes?n=3000000"] = { head(#large) .. large, KEEP },
    ["/slow-then-fast"] = {
      head(#large) .. large:sub(1, 1000),
      { drip = large:sub(1001, 1300), ms = 1 },
      large:sub(1301),
      KEEP,
    },
    ["/chunked"] = chunked("fifteen letters", 5),
    ["/chunked?n=1000&size=3000"] = chunked(large, 3000),
    ["/truncate"] = { head(100) .. ("x"):rep(50) },
    ["/truncate-chunked"] = { CHUNKED .. "4\r\nhalf\r\nff\r\nrest" },
    ["/truncate-headers"] = { OK .. "Content-Le" },
    ["/until-close"] = { OK .. "\r\nuntil the end" },
    ["/reset"] = { { unread = true } },
    ["/close-after-request"] = {},
    ["/close-next"] = { ok, { next = true } },
    ["/reset-next"] = { ok, { await = true } },
    ["/drip-head"] = { OK .. "X-Slow: ", { drip = ("v"):rep(100), ms = 50 } },
    ["/drip?n=3&ms=20"] = { head(3), { drip = "123", ms = 20 }, KEEP },
    ["/drip?n=30&ms=20"] = { head(30), { drip = ("x"):rep(30), ms = 20 }, KEEP },
    ["/drip?n=60&ms=20"] = { head(60), { drip = ("x"):rep(60), ms = 20 }, KEEP },
    ["/silence"] = { { hang = true } },
    ["/silence-in-body"] = { head(100) .. "half", { hang = true } },
    ["/held"] = { { hold = true }, ok, KEEP },
    -- Of 24 MiB: what the kernel may hold is read at once, when all was sent.
    ["/slow-upload"] = {
      { unread = true },
      { drain = 14 << 20, ms = 8 },
      { drain = true },
      scripted.response("200 OK", "taken"),
      KEEP,
    },
    ["/garbage"] = { "\1\2NONSENSE\r\n\r\nmore of it\r\n" },
    ["/bad-chunk"] = { CHUNKED .. "zz\r\nhello\r\n" },
    ["/headers?n=60&size=9000"] = fields(60, 9000),
    ["/headers?n=3000"] = fields(3000, 1),
    ["/repeated"] = scripted.kept("200 OK", "ok", {
      "X-List: one",
      "x-list:two ",
      "Set-Cookie: a=1",
      "Set-Cookie: b=2",
      "X-Empty:",
      "X-Folded: first",
      "   second",
    }),
    ["/interim"] = {
      "HTTP/1.1 103 Early Hints\r\nX-Early: hint\r\n\r\n",
      scripted.response("200 OK", "ok", { "X-Early: final" }),
      KEEP,
    },
    ["/location"] = scripted.kept("302 Found", "moved", { "Location: /ok" }),
    ["/gzip"] = gzip "printf 'hello hello hello'",
    ["/bomb?n=5000000"] = gzip "head -c 5000000 /dev/zero",
    ["/bomb?n=20000000"] = gzip "head -c 20000000 /dev/zero",
    ["/unknown-encoding"] = scripted.kept("200 OK", "???", { "Content-Encoding: sideways" }),
  }
  for _, ms in ipairs { 5, 10, 20, 30, 50 } do
    all["/later?ms=" .. ms] = { { pause = ms }, later, KEEP }
  end
  for i = 1, 64 do
    all["/bytes?n=" .. i * 1000] = bytes(i * 1000)
  end
  for _, n in ipairs { 100000, 300000, 4000000, 5000000, 9000000, 10000000, 20000000, 50000000 } do
    all[("/bytes?n=%d"):format(n)] = bytes(n)
  end
  return all
end

-- A server with these paths; every other one is not found.
function bench.new_server()
  local server = scripted.start()
  server.url = server.origin
  server:route(routes())
  server:play(scripted.kept("404 Not Found", ""))
  return server
end

function bench.start_server()
  bench.server = bench.new_server()
  return bench.server
end

function bench.stop_server()
  bench.server:stop()
end

-- ── Requests ─────────────────────────────────────────────────────────────────────────────────────

function bench.open()
  bench.engine = core.engine()
  bench.session = bench.engine:session {}
  return bench.engine, bench.session
end

function bench.close()
  bench.engine:close()
end

-- A request to the server with harmless settings, some of them replaced.
function bench.request_of(path, changes)
  local request = {
    method = "GET",
    url = path:find "://" and path or bench.server.url .. path,
    header_lines = "Accept: */*\n",
    timeout = 10,
    connect_timeout = 10,
  }
  for name, value in pairs(changes or {}) do
    request[name] = value
  end
  return request
end

-- Starts a request that is prepared for this start alone.
function bench.send(session, request)
  return session:start(session:prepare(request), request.url, request.body)
end

function bench.start(path, changes, from)
  return assert(bench.send(from or bench.session, bench.request_of(path, changes)))
end

-- Steps until `condition()` or, for the sake of the specs, a very long time.
function bench.step_until(condition, in_engine)
  local give_up = monotonic() + 60
  while not condition() do
    assert(monotonic() < give_up, "nothing happens any more");
    (in_engine or bench.engine):step(1)
  end
end

function bench.finish(transfer, in_engine)
  bench.step_until(function()
    return transfer:state() == "done"
  end, in_engine)
  return transfer
end

-- The status of a transfer that is open or done; nil when no response came.
function bench.status_of(transfer)
  return transfer:result() or nil
end

-- The whole body of a transfer that is done; nil when no response came.
function bench.body_of(transfer)
  return (select(2, transfer:result()))
end

function bench.fetch(path, changes, from)
  return bench.finish(bench.start(path, changes, from))
end

-- Reads a stream to its end in pieces of at most n bytes; calls each(piece) if given.
function bench.drain(transfer, n, each)
  local pieces = {}
  while true do
    local piece = transfer:read(n or 65536)
    if piece then
      pieces[#pieces + 1] = piece
      if each then each(piece) end
    elseif transfer:state() == "done" then
      return table.concat(pieces)
    else
      bench.engine:step(1)
    end
  end
end

-- How many requests for a path the server has seen.
function bench.count(path)
  local count = 0
  for _, request in ipairs(bench.server:requests()) do
    count = count + (request.target:match "^[^?]*" == path and 1 or 0)
  end
  return count
end

-- How many connections the server has seen, that of a request for this included: over a kept one,
-- if there is one.
function bench.connections(from)
  bench.fetch("/ok", nil, from)
  return bench.server:connections()
end

function bench.failure_of(transfer)
  local kind, message, details = transfer:failure()
  return { kind = kind, message = message, details = details }
end

-- Runs a script in an interpreter of its own, with engine, session and start(); returns what it
-- wrote, and whether it ended well. A signal is sent when it has begun.
function bench.run_script(text, signal)
  local path = os.tmpname()
  local file <close> = assert(io.open(path, "w"))
  file:write(
    ([[
    package.cpath = %q
    engine = require("qhub.core").engine()
    session = engine:session {}
    server = %q
    function start(path, changes)
      local request = { method = "GET", url = path:find "://" and path or %q .. path,
        header_lines = "", timeout = 9, connect_timeout = 9 }
      for name, value in pairs(changes or {}) do
        request[name] = value
      end
      return assert(session:start(session:prepare(request), request.url, request.body))
    end
    print "READY"
  ]]):format(package.cpath, bench.server.url, bench.server.url),
    text
  )
  file:flush()
  local child = process.start("lua5.4 " .. path .. " 2>&1")
  if signal then child:signal(signal) end
  local output, ok = child:wait()
  os.remove(path)
  return output, ok
end

return bench
