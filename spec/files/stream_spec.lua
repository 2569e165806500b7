-- Result files from servers that are odd or hostile, over a fake transport: what is handed out is
-- always the start of one version of the file, and a wrong answer is an error.

local FakeTransport = require "spec.support.fake_transport"
local loop = require "qhub.tasks.loop"

local DATE = "Fri, 27 Feb 2026 10:04:50 GMT"

-- 100000 bytes in which no two places look alike.
local CONTENT = {}
for index = 1, 25000 do
  CONTENT[index] = ("%04x"):format(index)
end
CONTENT = table.concat(CONTENT)

-- The body of a response: `text` in pieces; then it breaks if `broken`.
local function pieces(text, broken)
  local at = 1
  return function()
    if at > #text then return nil, broken and "the connection broke" or nil end
    local piece = text:sub(at, at + 6999)
    at = at + 7000
    return piece
  end
end

-- A response with the bytes from `first` (from 0) to `stop`; it breaks when that is not the end.
local function answer(first, stop, changes)
  local headers = {
    ETag = '"v1"',
    ["Last-Modified"] = DATE,
    ["Content-Length"] = tostring(#CONTENT - first),
    ["Content-Range"] = first > 0 and ("bytes %d-%d/%d"):format(first, #CONTENT - 1, #CONTENT)
      or nil,
  }
  for name, value in pairs(changes or {}) do
    headers[name] = value or nil
  end
  stop = stop or #CONTENT
  return {
    status_code = first > 0 and 206 or 200,
    headers = headers,
    body = pieces(CONTENT:sub(first + 1, stop), stop < #CONTENT),
  }
end

local function drain(file)
  local chunks = {}
  while true do
    local chunk, err = file:read()
    if not chunk then return table.concat(chunks), err end
    chunks[#chunks + 1] = chunk
  end
end

describe("a stream", function()
  local fake

  before_each(function()
    stub(loop, "sleep_until").returns(true)
  end)

  after_each(function()
    loop.sleep_until:revert()
  end)

  -- What a file hands out that is answered thus, and the error that ends it. Each answer is given
  -- once, since its body is.
  local function read(answers, options)
    fake = FakeTransport(answers)
    local file = assert(fake:client():get_result_file("1", "f", options))
    local text, err = drain(file)
    assert.equal(CONTENT:sub(1, #text), text)
    assert.equal(#text, file.received)
    return #text, err, file
  end

  local function assert_whole(answers, options)
    local count, err, file = read(answers, options)
    assert.is_nil(err)
    assert.equal(#CONTENT, count)
    return file
  end

  -- After 40000 bytes and a break the gateway answers with `second`: that is an error at once.
  local function assert_refused(second, pattern)
    local count, err = read { answer(0, 40000), second }
    assert.equal(40000, count)
    assert.equal("network", err.kind)
    assert.matches(pattern, err.message)
    assert.equal(2, #fake.requests)
  end

  it("resumes over any transport", function()
    assert_whole { answer(0, 40000), answer(40000, 90001), answer(90001) }
    assert.equal("bytes=90001-", fake.requests[3].headers.range)
    assert.equal('"v1"', fake.requests[3].headers["if-range"])
  end)

  it("continues after a partial response with fewer bytes than requested", function()
    local short = answer(40000, 60000, {
      ["Content-Range"] = "bytes 40000-59999/100000",
      ["Content-Length"] = "20000",
    })
    short.body = pieces(CONTENT:sub(40001, 60000))
    assert_whole { answer(0, 40000), short, answer(60000) }
    assert.equal("bytes=60000-", fake.requests[3].headers.range)
  end)

  it("treats a body that ends too early as broken", function()
    local short = answer(0)
    short.body = CONTENT:sub(1, 50000)
    assert_whole { short, answer(50000) }
  end)

  it("treats a failure after the last byte as the end", function()
    local full = answer(0)
    full.body = pieces(CONTENT, true)
    assert_whole { full }
    assert.equal(1, #fake.requests)
  end)

  it("hands out the announced bytes of a body that is too long, then raises", function()
    local long = answer(0)
    long.body = pieces(CONTENT .. "x")
    local count, err = read { long }
    assert.equal(#CONTENT, count)
    assert.matches("continues after the 100000 bytes", err.message)
    assert.equal(1, #fake.requests)
    local longer = answer(40000)
    longer.body = pieces(CONTENT:sub(40001) .. ("x"):rep(20000))
    count, err = read { answer(0, 40000), longer }
    assert.equal(#CONTENT, count)
    assert.matches("continues after", err.message)
  end)

  it("ends normally when 416 says that no byte was missing", function()
    local open_end = answer(0, nil, { ["Content-Length"] = false })
    open_end.body = pieces(CONTENT, true)
    local past = { status_code = 416, headers = { ["Content-Range"] = "bytes */100000" } }
    local file = assert_whole { open_end, past }
    assert.equal(#CONTENT, file.size)
    assert.equal("bytes=100000-", fake.requests[2].headers.range)
  end)

  it("raises for 416 when bytes are missing", function()
    assert_refused({ status_code = 416, headers = { ["Content-Range"] = "bytes */40000" } }, "ends")
    assert_refused({ status_code = 416, headers = {} }, "nothing after")
  end)

  it("raises for another range than requested, or for several", function()
    assert_refused(answer(40001), "begins at 40001")
    assert_refused(
      answer(40000, nil, { ["Content-Type"] = "multipart/byteranges; boundary=b" }),
      "several"
    )
    assert_refused(answer(40000, nil, { ["Content-Range"] = false }), "Content%-Range")
    assert_refused(answer(40000, nil, { ["Content-Encoding"] = "gzip" }), "encoded")
  end)

  it("raises when the file has another version", function()
    assert_refused(answer(40000, nil, { ETag = '"v2"' }), "changed")
    assert_refused(answer(0, nil, { ETag = '"v2"' }), "changed")
    assert_refused(answer(0, nil, { ETag = false, ["Last-Modified"] = false }), "does not say")
    assert_refused(
      answer(40000, nil, { ["Content-Range"] = "bytes 40000-99999/100001" }),
      "100000 bytes, now 100001"
    )
    assert_refused(answer(0, nil, { ["Content-Length"] = "99999" }), "changed")
  end)

  it("raises for any other status", function()
    assert_refused({ status_code = 204 }, "204")
  end)

  it("raises when the file turns out to be shorter while it is read again", function()
    local shorter = answer(0, nil, { ["Content-Length"] = false })
    shorter.body = CONTENT:sub(1, 30000)
    assert_refused(shorter, "shorter than before")
  end)

  it("counts a connection without new bytes as a retry of the same break", function()
    local count, err = read {
      answer(0, 40000),
      answer(0, 30000),
      answer(0, 40000),
      answer(0),
    }
    assert.equal(40000, count)
    assert.equal("network", err.kind)
    assert.equal(3, #fake.requests)
    assert_whole({ answer(0, 40000), answer(0, 30000), answer(0, 40000), answer(0) }, {
      max_retries = 3,
    })
  end)

  it("accepts a new version when nothing was handed out", function()
    local old = answer(0, 0, { ETag = '"v0"', ["Content-Length"] = "7" })
    local file = assert_whole { old, answer(0) }
    assert.equal(#CONTENT, file.size)
    assert.equal('"v1"', file.headers.etag)
    assert.is_nil(fake.requests[2].headers.range)
  end)

  it("does not treat a partial response as the whole file", function()
    local part = answer(40000)
    local file, err = FakeTransport({ part }):client():get_result_file("1", "f")
    assert.is_nil(file)
    assert.equal("network", err.kind)
    local first = answer(0, nil, { ["Content-Range"] = "bytes 0-49999/100000" })
    first.status_code, first.headers["Content-Length"] = 206, "50000"
    first.body = CONTENT:sub(1, 50000)
    assert.equal(#CONTENT, assert_whole({ first, answer(50000) }).size)
  end)

  it("hands out a range that the program requested, and does not resume it", function()
    local part = answer(40000)
    local options = { headers = { Range = "bytes=40000-" } }
    local client = FakeTransport({ part }):client()
    assert.equal(CONTENT:sub(40001), assert(client:get_result_file("1", "f", options)):read_all())
    client = FakeTransport({ answer(40000, 70000) }):client()
    local text, err = drain(assert(client:get_result_file("1", "f", options)))
    assert.equal(CONTENT:sub(40001, 70000), text)
    assert.matches("a range of the program's own", err.message)
  end)

  it("resumes at the gateway, not at the host it redirected to", function()
    local function to_storage(request)
      assert.equal("https://gateway.example/acme/vqe/v1/1/result/f", request.url)
      assert.equal("Bearer t0ken", request.headers.authorization)
      local target = "https://storage.example/f?signature=" .. #fake.requests
      return { status_code = 307, headers = { Location = target } }
    end
    assert_whole { to_storage, answer(0, 40000), to_storage, answer(40000) }
    local last = fake.requests[4]
    assert.equal("https://storage.example/f?signature=3", last.url)
    assert.equal("bytes=40000-", last.headers.range)
    assert.equal('"v1"', last.headers["if-range"])
    assert.is_nil(last.headers.authorization)
  end)

  it("propagates what the transport raises, and is released", function()
    local reason = {}
    local raising = answer(0)
    raising.body = function()
      error(reason)
    end
    fake = FakeTransport { raising }
    local file = assert(fake:client():get_result_file("1", "f"))
    local ok, err = pcall(file.read, file)
    assert.is_false(ok)
    assert.equal(reason, err)
    assert.is_false((pcall(file.read, file)))
  end)

  it("reads a large body of a transport function in small chunks in linear time #timing", function()
    fake = FakeTransport { { status_code = 200, body = ("x"):rep(16 << 20) } }
    local file = assert(fake:client():get_result_file("1", "f", { chunk_size = 1000 }))
    local started = loop.now()
    for _ = 1, 2000 do
      assert.equal(1000, #file:read())
    end
    assert.is_true(loop.now() - started < 5) -- and not 16 MiB moved for each of them
  end)

  it("reads nothing after its client was closed", function()
    fake = FakeTransport { answer(0) }
    local client = fake:client()
    local file = assert(client:get_result_file("1", "f"))
    assert(file:read())
    client:close()
    local chunk, err = file:read()
    assert.is_nil(chunk)
    assert.equal("cancelled", err.kind)
  end)

  it("hands out nothing more when it is closed while a chunk is on its way", function()
    local file
    local closing = answer(0)
    closing.body = function()
      file:close()
      return CONTENT
    end
    fake = FakeTransport { closing }
    file = assert(fake:client():get_result_file("1", "f"))
    local chunk, err = file:read()
    assert.is_nil(chunk)
    assert.equal("cancelled", err.kind)
    assert.equal(0, file.received)
    assert.equal(1, #fake.requests)
  end)

  it("asks for a fresh token when a later part is refused with 401", function()
    local count = 0
    local function token(rejected)
      count = count + 1
      return (rejected and "fresh" or "t") .. count
    end
    fake = FakeTransport { answer(0, 40000), { status_code = 401 }, answer(40000) }
    local statuses = {}
    local file = assert(fake:client({ token = token, max_retries = 1 }):get_result_file("1", "f", {
      on_response = function(response)
        statuses[#statuses + 1] = response.status_code
      end,
    }))
    assert.equal(CONTENT, drain(file))
    assert.equal("Bearer fresh3", fake.requests[3].headers.authorization)
    assert.equal("bytes=40000-", fake.requests[3].headers.range)
    assert.same({ 200 }, statuses)
  end)

  it("resumes after many breaks in a row", function()
    local answers = { answer(0, 1) }
    for position = 1, 299 do
      answers[position + 1] = answer(position, position + 1)
    end
    answers[#answers + 1] = answer(300)
    assert_whole(answers)
  end)
end)
