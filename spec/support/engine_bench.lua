-- An engine of qhub.core, a session of it and the raw server, for the specs of the engine.
--
-- Responsible for: harmless requests, waiting for transfers, and scripts in an interpreter of their
-- own. `bench.open()` before each test sets `bench.engine` and `bench.session`, `bench.close()`
-- after it closes them; the server serves a whole file of specs, from `bench.start_server()` to
-- `bench.stop_server()`.

local core = require "qhub.core"
local process = require "spec.support.process"

local monotonic = core.system.monotonic

local bench = {}

function bench.start_server()
  bench.server = process.raw_server()
  return bench.server
end

function bench.stop_server()
  bench.server:close()
end

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
    header_lines = { "Accept: */*" },
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
  return transfer:outcome() or nil
end

-- The whole body of a transfer that is done; nil when no response came.
function bench.body_of(transfer)
  return (select(2, transfer:outcome()))
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

-- How many requests for a path the server has seen; asked over a connection of its own.
function bench.count(path)
  local own <close> = core.engine()
  local request = bench.request_of("/count?path=" .. path)
  return tonumber(bench.body_of(bench.finish(bench.send(own:session {}, request), own)))
end

-- How many connections the server has seen, that of this question included: over a kept one, if
-- there is one.
function bench.connections(from)
  local counts = bench.body_of(bench.fetch("/count", nil, from))
  return tonumber(counts:match "connections=(%d+)")
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
        header_lines = {}, timeout = 9, connect_timeout = 9 }
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
