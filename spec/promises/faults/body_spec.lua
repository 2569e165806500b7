-- Responses whose head is good and whose body is not, at each of the seven operations.

local calls = require "spec.support.calls"
local scripted = require "spec.support.scripted"
local shared = require "spec.support.shared"
local trial = require "spec.support.trial"

local OK = "HTTP/1.1 200 OK\r\n"
local LENGTH = OK .. "Content-Length: 100\r\n\r\n"
local CHUNKED = OK .. "Transfer-Encoding: chunked\r\n\r\n"
local TIMEOUT = 0.12 -- seconds of silence

describe("a body", function()
  local server = shared(scripted.start)

  local function all(script, expected, options)
    trial.all(server, { script }, expected, options)
  end

  -- Each operation is answered well, by the script that `frame(body)` makes.
  local function framed(frame, options)
    local _ <close> = trial.at_once()
    for _, call in ipairs(calls) do
      local script = frame(call.body)
      trial.one(
        server,
        call,
        { type(script) == "table" and script or { script } },
        trial.fine,
        options
      )
    end
  end

  -- Where a body can end early, and how many of its bytes were received.
  local places = {
    ["before its first byte"] = { LENGTH, 0 },
    ["in the middle"] = { LENGTH .. "[1,", 3 },
    ["one byte too early"] = { LENGTH .. (" "):rep(99), 99 },
    ["before its first chunk"] = { CHUNKED, 0 },
    ["in the size of a chunk"] = { CHUNKED .. "1", 0 },
    ["in a chunk"] = { CHUNKED .. "10\r\n[1,", 3 },
    ["between two chunks"] = { CHUNKED .. "3\r\n[1,\r\n", 3 },
    ["in its last chunk"] = { CHUNKED .. "2\r\n[]\r\n0\r\n", 2 },
    ["in a trailer"] = { CHUNKED .. "2\r\n[]\r\n0\r\nX-Trail", 2 },
  }

  for place, what in pairs(places) do
    it("that ends " .. place .. " is a network error, and no start is sent again", function()
      all({ what[1] }, trial.broken("network", what[2]))
    end)

    it("that goes silent " .. place .. " times out, and no start is sent again #timing", function()
      local options = { timeout = TIMEOUT, max_retries = 0 }
      all({ what[1], { hang = true } }, trial.broken("timeout", what[2]), options)
    end)
  end

  local nonsense = {
    ["with a chunk size of invalid letters"] = { CHUNKED .. "zz\r\n[]\r\n0\r\n\r\n", 0 },
    ["with a chunk of negative size"] = { CHUNKED .. "-2\r\n[]\r\n0\r\n\r\n", 0 },
    ["with a huge chunk"] = { CHUNKED .. ("f"):rep(17) .. "\r\n[]\r\n0\r\n\r\n", 0 },
    ["with a chunk longer than its size"] = { CHUNKED .. "2\r\n[]0\r\n\r\n", 2 },
    ["in an unknown encoding"] = { OK .. "Content-Encoding: odd\r\n\r\n[]", 0 },
    ["that is not gzip"] = { OK .. "Content-Encoding: gzip\r\n\r\n[]", 0 },
  }

  for what, bytes in pairs(nonsense) do
    it(what .. " is a network error, and no start is sent again", function()
      all({ bytes[1], { keep = true } }, trial.broken("network", bytes[2]))
    end)
  end

  it("that arrives slowly does not time out, however long it takes as a whole #timing", function()
    framed(function(body)
      return { { drip = scripted.response("200 OK", body), ms = 10 }, { keep = true } }
    end, { timeout = 0.7, max_retries = 0 })
  end)

  it("may be chunked, have trailers, or end with the connection", function()
    framed(function(body)
      local chunks = body:gsub("..?", function(piece)
        return ("%x;extension=1\r\n%s\r\n"):format(#piece, piece)
      end)
      return { CHUNKED .. chunks .. "0\r\nX-Trailer: late\r\n\r\n", { keep = true } }
    end)
    framed(function(body)
      return { OK .. "\r\n" .. body }
    end)
    framed(function(body)
      return { OK .. "Transfer-Encoding: Identity\r\n\r\n" .. body }
    end)
    framed(function(body)
      return { "HTTP/1.0 200 OK\r\n\r\n" .. body }
    end)
  end)

  it("is not taken for the next response when it is longer than announced", function()
    local evil = scripted.response("200 OK", '{"id":"evil"}')
    framed(function(body)
      return { scripted.response("200 OK", body) .. evil, { keep = true } }
    end)
    local script = scripted.kept("204 No Content", evil)
    for _, call in ipairs { calls.get_logs, calls.cancel_execution } do
      trial.one(server, call, { script }, function()
        return { value = call.ignores_body or {}, requests = 1 }
      end)
    end
  end)

  it("with endless trailers is cut off at a limit", function()
    local trailer = "X-Trailer: " .. ("v"):rep(1000) .. "\r\n"
    local script = { CHUNKED .. "2\r\n[]\r\n0\r\n", { times = 8192, text = trailer } }
    for _, call in ipairs { calls.get_logs, calls.get_status } do
      trial.one(server, call, { script }, trial.too_large(200))
    end
  end)
end)
