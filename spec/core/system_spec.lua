-- Clocks, environment, terminal, random numbers, small files: qhub.core.system.
-- Tests with "#process" in their name start other programs.
local system = require("qhub.core").system

-- Runs Lua code in a child process whose output goes into the shell command `reader`. Returns what
-- the reader printed, after what the child wrote to stderr.
local function run_child(code, reader)
  local file = os.tmpname()
  local out = assert(io.open(file, "w"))
  assert(out:write("local core = require('qhub.core')\n", code))
  out:close()
  local lua = os.getenv("LUA") or "lua5.4"
  local command = "{ LUA_CPATH='%s' %s %s 2>&3 | %s; } 3>&1"
  local child = assert(io.popen(command:format(package.cpath, lua, file, reader)))
  local output = child:read("a")
  child:close()
  os.remove(file)
  return output
end

local function write_temporary(content)
  local path = os.tmpname()
  local file = assert(io.open(path, "wb"))
  assert(file:write(content))
  file:close()
  return path
end

describe("the clocks", function()
  it("return seconds as floats", function()
    assert.equal("float", math.type(system.monotonic()))
    assert.equal("float", math.type(system.realtime()))
  end)

  it("never go back when monotonic", function()
    local last = system.monotonic()
    for _ = 1, 1000 do
      local now = system.monotonic()
      assert.truthy(now >= last)
      last = now
    end
  end)

  it("agree with the host's when realtime", function()
    assert.near(os.time(), system.realtime(), 2)
  end)
end)

describe("random", function()
  it("returns floats from 0 to below 1 that fill the range", function()
    local sum, low, high = 0, 1, 0
    for _ = 1, 10000 do
      local value = system.random()
      sum, low, high = sum + value, math.min(low, value), math.max(high, value)
    end
    assert.near(0.5, sum / 10000, 0.05)
    assert.truthy(low >= 0 and low < 0.01)
    assert.truthy(high > 0.99 and high < 1)
  end)

  it("does not repeat itself or depend on the host's seed", function()
    math.randomseed(1)
    local one = system.random()
    math.randomseed(1)
    assert.not_equal(one, system.random())
  end)
end)

describe("getenv", function()
  it("returns the value or nil", function()
    assert.equal(os.getenv("PATH"), system.getenv("PATH"))
    assert.is_nil(system.getenv("QHUB_NO_SUCH_VARIABLE"))
  end)
end)

describe("the terminal", function()
  it("is not reported for a descriptor that is not a terminal or not open", function()
    assert.is_false(system.isatty(999))
    assert.is_nil(system.columns(999))
  end)

  it("refuses anything but a descriptor", function()
    for _, fd in ipairs({ -1, 2 ^ 31, "x", 1.5 }) do
      assert.error_matches(function()
        system.isatty(fd)
      end, "bad argument #1")
    end
  end)
end)

describe("write", function()
  it("reports which descriptor failed and why", function()
    local ok, message, name = system.write(999, "x")
    assert.is_nil(ok)
    assert.matches("descriptor 999: ", message, 1, true)
    assert.equal("EBADF", name)
  end)

  it("writes every byte through a pipe smaller than the text #process", function()
    local output = run_child("assert(core.system.write(1, ('x'):rep(1000003)) == true)", "wc -c")
    assert.equal(1000003, tonumber(output))
  end)

  it("returns EPIPE when the reader has gone #process", function()
    local output = run_child(
      [[
      local ok, message, name = core.system.write(1, ("x"):rep(1000000))
      io.stderr:write(tostring(ok), " ", name, " ", message)
      ]],
      "true"
    )
    assert.matches("^nil EPIPE descriptor 1: ", output)
  end)

  it("leaves the program's own handling of SIGPIPE as it was #process", function()
    -- io.write after it is killed by the signal, as it would have been before
    local output = run_child(
      [[
      core.system.write(1, ("x"):rep(1000000))
      io.stderr:write("alive")
      io.stdout:setvbuf("no")
      io.write(("x"):rep(1000000))
      io.stderr:write("still alive")
      ]],
      "true"
    )
    assert.equal("alive", output)
  end)
end)

describe("read_file", function()
  it("reads a file whole, zero bytes included", function()
    local path = write_temporary("a\0b\r\n\xff")
    finally(function()
      os.remove(path)
    end)
    assert.equal("a\0b\r\n\xff", system.read_file(path))
  end)

  it("reads files up to the limit and not beyond", function()
    local path = write_temporary("12345")
    finally(function()
      os.remove(path)
    end)
    assert.equal("12345", system.read_file(path, 5))
    local text, message, name = system.read_file(path, 4)
    assert.is_nil(text)
    assert.equal(path .. ": is longer than 4 bytes", message)
    assert.equal("EFBIG", name)
  end)

  it("reads an empty file with a limit of 0", function()
    local path = write_temporary("")
    finally(function()
      os.remove(path)
    end)
    assert.equal("", system.read_file(path, 0))
  end)

  it("reads files of unknown size up to the limit", function()
    assert.matches("^Name:", system.read_file("/proc/self/status"))
    local text, message, name = system.read_file("/dev/zero", 100)
    assert.is_nil(text)
    assert.matches("longer than 100 bytes", message)
    assert.equal("EFBIG", name)
  end)

  it("reports path and reason of a failure", function()
    local text, message, name = system.read_file("/no/such/file")
    assert.is_nil(text)
    assert.matches("^/no/such/file: .+", message)
    assert.equal("ENOENT", name)
    text, message, name = system.read_file("/tmp")
    assert.is_nil(text)
    assert.matches("^/tmp: .+", message)
    assert.equal("EISDIR", name)
    text, message, name = system.read_file("/tmp/a\0b")
    assert.is_nil(text)
    assert.equal("/tmp/a\\x00b: a path cannot hold a zero byte", message)
    assert.equal("EINVAL", name)
  end)

  it("leaves no descriptor open after success or failure", function()
    local function count()
      collectgarbage() -- what the specs before left behind
      local total = 0
      for fd = 0, 255 do
        local link = system.read_file("/proc/self/fdinfo/" .. fd)
        if link then total = total + 1 end
      end
      return total
    end
    local before = count()
    for _ = 1, 100 do
      system.read_file("/proc/self/status")
      system.read_file("/tmp")
      system.read_file("/dev/zero", 10)
      system.read_file("/no/such/file")
    end
    assert.equal(before, count())
  end)
end)
