-- The `progress` option: functions of the program's, and the drawing itself, which a child process
-- does on a terminal of its own (script, of util-linux).

local FakeTransport = require "spec.support.fake_transport"
local progress = require "qhub.progress"
local qhub = require "qhub"

local PENDING = { status_code = 200, body = '{"id":"run-1","status":"PENDING"}' }
local SUCCEEDED = { status_code = 200, body = '{"id":"run-1","status":"SUCCEEDED"}' }

describe("a function as progress", function()
  it("receives received and total bytes of a file, and its errors propagate unchanged", function()
    local told = {}
    local reporter = progress.start(function(...)
      told[#told + 1] = table.pack(...)
    end, "file", "a.bin")
    reporter:update(5, 10)
    reporter:update(7)
    reporter:finish(true)
    assert.same({ { n = 2, 5, 10 }, { n = 1, 7 } }, told)
    local thrown = setmetatable({}, { __name = "mine" })
    reporter = progress.start(function()
      error(thrown)
    end, "file", "a.bin")
    local ok, err = pcall(reporter.update, reporter, 1)
    assert.is_false(ok)
    assert.equal(thrown, err)
  end)

  it("receives the execution at every poll of a wait", function()
    local client = FakeTransport({ PENDING, PENDING, SUCCEEDED }):client()
    local statuses = {}
    local execution = client:execution "run-1"
    assert(execution:wait {
      interval = 0.001,
      progress = function(...)
        assert.equal(1, select("#", ...))
        assert.equal(execution, (...))
        statuses[#statuses + 1] = (...).status
      end,
    })
    assert.same({ "PENDING", "PENDING", "SUCCEEDED" }, statuses)
  end)

  it("ends a wait with its own error", function()
    local thrown = setmetatable({}, { __name = "mine" })
    local execution = FakeTransport({ PENDING }):client():execution "run-1"
    local ok, err = pcall(execution.wait, execution, {
      progress = function()
        error(thrown)
      end,
    })
    assert.is_false(ok)
    assert.equal(thrown, err)
  end)
end)

describe("qhub.progress", function()
  -- What a child process that runs `code` writes on a terminal of `columns` columns. In the child
  -- `start(kind, name)` gives a reporter, and `pass(seconds)` moves its clock, which stands still.
  local function on_terminal(code, columns, environment, redirection)
    local name = os.tmpname()
    finally(function()
      os.remove(name)
    end)
    local file <close> = assert(io.open(name, "w"))
    assert(file:write [[
      local qhub, loop = require "qhub", require "qhub.tasks.loop"
      local progress, system = require "qhub.progress", require("qhub.core").system
      local clock = loop.now()
      function loop.now() return clock end
      system.monotonic = loop.now
      local function pass(seconds) clock = clock + seconds end
      local function start(kind, name) return progress.start(qhub.progress, kind, name) end
    ]])
    assert(file:write(code))
    file:close()
    local settings = "env -u LC_ALL -u LC_CTYPE LANG=C TERM=xterm "
    local inner = ("stty cols %d; %s %s %s %s %s"):format(
      columns or 80,
      settings,
      environment or "",
      os.getenv "LUA" or "lua5.4",
      name,
      redirection or ""
    )
    local command = ("SHELL=/bin/sh script -qec '%s' /dev/null </dev/null"):format(inner)
    local pipe = assert(io.popen(command))
    local output = pipe:read "a"
    assert(pipe:close())
    return output
  end

  -- The frames that `output` is made of: what stood in the line, each time it was drawn.
  local function frames_of(output)
    local frames = {}
    for frame in (output .. "\r\27[K"):gmatch "(.-)\r\27%[K" do
      frames[#frames + 1] = frame
    end
    assert.equal("", table.remove(frames, 1)) -- before the first
    return frames
  end

  local TRANSFER = [[
    local reporter <close> = start("file", "data.bin")
    for step = 0, 1000 do
      reporter:update(step * 10000, 10000000)
      pass(0.001)
    end
    reporter:finish(true)
  ]]

  it("redraws one line about ten times a second and leaves the last one", function()
    local output = on_terminal(TRANSFER)
    local frames = frames_of(output)
    assert.is_true(#frames >= 10 and #frames <= 13, #frames)
    assert.matches("^data.bin  0 %%  0 B/10.0 MB$", frames[1])
    assert.matches("50 %%", output)
    assert.matches("0:00 left", output, 1, true)
    assert.equal("data.bin  10.0 MB  10.0 MB/s  0:01\r\n", frames[#frames])
    assert.equal(1, select(2, output:gsub("\n", "")))
  end)

  it("fits into narrow windows", function()
    for _, columns in ipairs { 20, 40, 200 } do
      local frames = frames_of(on_terminal(TRANSFER, columns))
      for _, frame in ipairs(frames) do
        assert.is_true(#frame:gsub("\r\n", "") < columns, frame)
      end
      assert.matches("data.bin", frames[2], 1, true)
      assert.matches(" %%", frames[2])
    end
  end)

  it("shows other than ASCII only in UTF-8", function()
    local batch = [[
      local reporter <close> = start("batch", "")
      reporter:update(1, 3, 1, 1)
      reporter:finish(true)
    ]]
    local output = on_terminal(batch, 80, "LANG=de_DE.UTF-8")
    assert.matches("1/3 ended · 1 running · 1 failed", output, 1, true)
    assert.matches("·", on_terminal(batch, 80, "LC_ALL=C.utf8"), 1, true)
    assert.is_nil(on_terminal(batch, 80, "LANG=C.UTF-8 LC_ALL=POSIX"):find "[\128-\255]")
  end)

  it("shows one line for a batch and for tasks.map, and leaves one", function()
    local code = [[
      local FakeTransport = require "spec.support.fake_transport"
      local ended = '[{"id":"a","status":"SUCCEEDED"},{"id":"b","status":"FAILED"}]'
      local client = FakeTransport({
        {
          status_code = 200,
          body = '[{"id":"a","status":"RUNNING"},{"id":"b","status":"PENDING"}]',
        },
        { status_code = 200, body = ended },
      }):client()
      loop.sleep_until = function(due) clock = due return true end
      local list = { client:execution "a", client:execution "b" }
      assert(client:wait_all(list, { progress = qhub.progress }))
      qhub.tasks.map({ 1, 2 }, function(x) return x end, { progress = qhub.progress })
    ]]
    local output = on_terminal(code, 80)
    assert.matches("0/2 ended - 1 running", output, 1, true)
    assert.matches("2/2 ended %- 1 failed  0:0%d\r\n", output)
    assert.matches("2/2 done  0:00\r\n$", output)
    assert.equal(2, select(2, output:gsub("\n", "")))
  end)

  it("writes only whole lines on a dumb terminal", function()
    local output = on_terminal(TRANSFER, 80, "TERM=dumb")
    assert.equal("data.bin  10.0 MB  10.0 MB/s  0:01\r\n", output)
  end)

  it("is silent when stderr is not a terminal", function()
    assert.equal("", on_terminal(TRANSFER, 80, "", "2>/dev/null"))
    assert.equal("", on_terminal(TRANSFER, 80, "", "2>&1 | cat"))
  end)

  it("leaves no line after a failure", function()
    local code = [[
      do
        local reporter <close> = start("file", "data.bin")
        reporter:update(1, 10)
      end
      local silent <close> = start("file", "never began")
    ]]
    local frames = frames_of(on_terminal(code))
    assert.equal("", frames[#frames])
    assert.equal(2, #frames)
  end)

  it("shows the last reporter on the one line, and leaves a line of each", function()
    local code = [[
      local one, two = start("file", "one"), start("file", "two")
      one:update(1, 10)
      pass(1)
      two:update(3, 10)
      pass(1)
      one:update(10, 10)
      one:finish(true)
      two:update(10, 10)
      two:finish(true)
    ]]
    local frames = frames_of(on_terminal(code, 80))
    for index, pattern in ipairs { "^one .*", "^two .*", "^one ", "^one .*\r\n$" } do
      assert.matches(pattern, frames[index])
    end
    assert.matches("^two .*\r\n$", frames[#frames])
  end)

  it("shows each status of a wait, and its end", function()
    local code = [[
      local FakeTransport = require "spec.support.fake_transport"
      local client = FakeTransport({
        { status_code = 200, body = '{"id":"run-1","status":"PENDING"}' },
        { status_code = 200, body = '{"id":"run-1","status":"SUCCEEDED"}' },
      }):client()
      loop.sleep_until = function(due) clock = due return true end
      assert(client:execution("run-1"):wait {
        progress = qhub.progress,
        interval = function() return 30 end,
      })
    ]]
    local frames = frames_of(on_terminal(code))
    assert.equal("run-1  PENDING  0:00", frames[1])
    assert.equal("run-1  SUCCEEDED  0:30\r\n", frames[#frames])
    assert.equal("run-1  SUCCEEDED  0:30\r\n", on_terminal(code, 80, "TERM=dumb"))
  end)

  it("can be called by a wrapping function", function()
    local code = [[
      for step = 0, 10 do
        qhub.progress(step, 10)
        pass(0.2)
      end
      qhub.progress(1, 20)
    ]]
    local frames = frames_of(on_terminal(code, 80))
    assert.matches("50 %%", frames[6])
    assert.matches("10 B.*\r\n$", frames[#frames - 1])
    assert.equal("5 %  1/20 B", frames[#frames])
  end)

  it("is silent without a terminal, and refuses wrong arguments", function()
    assert.equal("qhub.progress", tostring(qhub.progress))
    for _, value in ipairs { "5", {}, true } do
      local ok, message = pcall(qhub.progress, value)
      assert.is_false(ok)
      assert.matches("init_spec.lua:%d+: progress: bytes received or an execution", message)
    end
  end)
end)
