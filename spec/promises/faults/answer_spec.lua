-- Responses that break before their body, or are none, at each of the seven operations.

local calls = require "spec.support.calls"
local scripted = require "spec.support.scripted"
local shared = require "spec.support.shared"
local trial = require "spec.support.trial"

local OK = "HTTP/1.1 200 OK\r\n"
local HINTS = 'HTTP/1.1 103 Early Hints\r\nX-Hint: yes\r\nETag: "early"\r\n\r\n'
local TIMEOUT = 0.12 -- seconds of silence

describe("a response", function()
  local server = shared(scripted.start)

  local function all(script, expected, options)
    trial.all(server, { script }, expected, options)
  end

  -- Where the head of a response can end early.
  local places = {
    ["before its first byte"] = "",
    ["in the status line"] = "HTTP/1.1 2",
    ["after the status line"] = OK,
    ["in a header"] = OK .. "Content-Le",
    ["between a header and the end of the head"] = OK .. "Content-Length: 2\r\nX-Field: 1\r\n",
    ["after an interim response"] = HINTS,
    ["in an interim response"] = HINTS:sub(1, 20),
  }

  for place, bytes in pairs(places) do
    it("that ends " .. place .. " is a network error, and a start is not sent again", function()
      all({ bytes }, trial.unanswered "network")
    end)

    it("that goes silent " .. place .. " times out, the start sent once #timing", function()
      local options = { timeout = TIMEOUT, max_retries = 0 }
      all({ bytes, { hang = true } }, trial.unanswered "timeout", options)
    end)
  end

  it("that does not arrive is requested again, except for a start #timing", function()
    all({ { hang = true } }, trial.unanswered "timeout", { timeout = TIMEOUT })
  end)

  local nonsense = {
    ["binary garbage"] = "\0\255\1\2\r\n\r\n\0\0",
    ["another protocol"] = "SSH-2.0-OpenSSH_9.2\r\n",
    ["HTTP/0.9"] = "<html>hello</html>",
    ["of an unknown version"] = "HTTP/9.9 200 OK\r\nContent-Length: 2\r\n\r\n[]",
    ["without a status"] = "HTTP/1.1 \r\nContent-Length: 2\r\n\r\n[]",
    ["with a status in letters"] = "HTTP/1.1 abc OK\r\nContent-Length: 2\r\n\r\n[]",
    ["with status 099"] = "HTTP/1.1 099 Low\r\nContent-Length: 2\r\n\r\n[]",
    ["with status 2000"] = "HTTP/1.1 2000 High\r\nContent-Length: 2\r\n\r\n[]",
    ["with a line before its head"] = "\r\n" .. OK .. "Content-Length: 2\r\n\r\n[]",
    ["with a NUL in a header"] = OK .. "X-Field: a\0b\r\nContent-Length: 2\r\n\r\n[]",
    ["with an invalid header line"] = OK .. "nonsense\r\nContent-Length: 2\r\n\r\n[]",
    ["that changes the protocol"] = "HTTP/1.1 101 Switching\r\nUpgrade: other\r\n\r\n\1\2\3",
    ["with a negative Content-Length"] = OK .. "Content-Length: -2\r\n\r\n[]",
    ["with a Content-Length in letters"] = OK .. "Content-Length: two\r\n\r\n[]",
    ["with two lengths"] = OK .. "Content-Length: 2\r\nContent-Length: 3\r\n\r\n[] ",
    ["with two lengths, the larger one first"] = OK
      .. "Content-Length: 3\r\nContent-Length: 2\r\n\r\n[] ",
    ["with two lengths in one line"] = OK .. "Content-Length: 2, 3\r\n\r\n[] ",
    ["with a huge length"] = OK .. "Content-Length: 99999999999999999999\r\n\r\n[]",
    ["in an unknown transfer encoding"] = OK .. "Transfer-Encoding: odd\r\n\r\n[]",
    ["in a transfer encoding not asked for"] = OK
      .. "Transfer-Encoding: gzip, chunked\r\n\r\n2\r\n[]\r\n0\r\n\r\n",
  }

  for what, bytes in pairs(nonsense) do
    it(what .. " is a network error, and a start is not sent again", function()
      all({ bytes }, trial.unanswered "network")
    end)
  end

  it("may follow any number of interim responses, which are ignored", function()
    local _ <close> = trial.at_once()
    for _, call in ipairs(calls) do
      local interim = { times = 20, text = HINTS .. "HTTP/1.1 100 Continue\r\n\r\n" }
      trial.one(server, call, { { interim, table.unpack(trial.good(call)) } }, trial.fine)
    end
  end)

  it("with an endless head is cut off at a limit with a network error", function()
    local field = "X-Field: " .. ("v"):rep(1000) .. "\r\n"
    all({ OK, { times = 8192, text = field }, "\r\n" }, trial.unanswered "network")
  end)

  it("with a head of one line of 8 MB is cut off at a limit with a network error", function()
    all({ OK, "X-Field: ", { times = 8192, text = ("v"):rep(1024) } }, trial.unanswered "network")
  end)

  it("of endless interim responses is cut off at a limit with a network error", function()
    all({ { times = 100000, text = HINTS } }, trial.unanswered "network")
  end)

  it("with an error status and too large a head keeps its status", function()
    local field = "X-Field: " .. ("v"):rep(1000) .. "\r\n"
    for _, head in ipairs {
      { times = 400, text = field },
      { times = 1, text = "X-Field: " .. ("v"):rep(400000) .. "\r\n" },
    } do
      for status, transient in pairs { [404] = false, [429] = true, [503] = true } do
        local first = ("HTTP/1.1 %d Whatever\r\nX-First: yes\r\n"):format(status)
        all({ first, head, "\r\n" }, trial.status(status, transient))
      end
    end
  end)

  it("with an error status is returned as that status, and retried when it is transient", function()
    for _, status in ipairs { 300, 304, 400, 401, 403, 404, 409, 410, 413, 422 } do
      all(scripted.kept(status .. " No", "{}"), trial.status(status, false))
    end
    for _, status in ipairs { 408, 429, 500, 501, 502, 503, 504, 599 } do
      local bytes = scripted.response(status .. " Later", "", { "Retry-After: 0" })
      all({ bytes, { keep = true } }, trial.status(status, true))
    end
  end)
end)
