-- The text of a progress line, for a state and a width.

local line = require "qhub.progress.line"

-- Columns that `text` takes, reckoned with two for every character that may be wide.
local function columns_of(text)
  local count = 0
  for _, code in utf8.codes(text) do
    count = count + ((code >= 0x1100 and code < 0x2000 or code >= 0x2E80) and 2 or 1)
  end
  return count
end

describe("a progress line", function()
  it("writes bytes and durations for people", function()
    for count, text in pairs {
      [0] = "0 B",
      [999] = "999 B",
      [1000] = "1.0 kB",
      [1049] = "1.0 kB",
      [999949] = "999.9 kB",
      [999950] = "1.0 MB",
      [12345678] = "12.3 MB",
      [5 * 10 ^ 9 // 1 | 0] = "5.0 GB",
      [math.maxinteger] = "9.2 EB",
    } do
      assert.equal(text, line.bytes(count))
    end
    for seconds, text in pairs {
      [0] = "0:00",
      [7.9] = "0:07",
      [754] = "12:34",
      [3723] = "1:02:03",
      [-1] = "0:00",
      [math.huge] = "99:59:59",
    } do
      assert.equal(text, line.duration(seconds))
    end
  end)

  it("shows name, percentage, bytes, rate and the time left of a file", function()
    local state = { name = "a.bin", received = 25000000, size = 10 ^ 8, rate = 5e6, elapsed = 5 }
    local expected = "a.bin  25 %  25.0/100.0 MB  5.0 MB/s  0:15 left"
    assert.equal(expected, line.file(state, 100, false))
    assert.equal(expected, line.file(state, 100, true))
  end)

  it("writes a unit once when size and bytes have the same", function()
    for size, text in pairs { [999] = "9/999 B", [1500] = "9 B/1.5 kB" } do
      local state = { name = "", received = 9, size = size, elapsed = 0 }
      assert.equal(("%d %%  %s"):format(900 // size, text), line.file(state, 60, false))
    end
  end)

  it("shows bytes and rate of a file whose size is unknown", function()
    local state = { name = "a.bin", received = 25000000, rate = 5e6, elapsed = 5 }
    assert.equal("a.bin  25.0 MB  5.0 MB/s  0:05", line.file(state, 60, false))
  end)

  it("shows the counts of a batch and of a list", function()
    local state = { done = 37, total = 50, running = 11, failed = 1, elapsed = 45 }
    assert.equal("37/50 ended · 11 running · 1 failed  0:45", line.batch(state, 79, true))
    assert.equal("37/50 ended - 11 running - 1 failed  0:45", line.batch(state, 79, false))
    assert.equal("37/50 ended · 11 running · 1 failed", line.batch(state, 39, true))
    assert.equal("37/50 ended · 11 running", line.batch(state, 25, true))
    assert.equal("…50 ended", line.batch(state, 9, true))
    state.running = nil
    assert.equal("37/50 done · 1 failed  0:45", line.map(state, 79, true))
  end)

  it("shows status and elapsed time of a wait", function()
    local state = { name = "run-1", execution = { status = "RUNNING" }, elapsed = 83 }
    assert.equal("run-1  RUNNING  1:23", line.wait(state, 79, false))
    assert.equal("run-1  RUNNING", line.wait(state, 16, false))
  end)

  it("never takes more columns than it is given", function()
    local names =
      { "", "a", "résumé.pdf", ("long-"):rep(60) .. "name.tar.gz", "日本語の結果.png" }
    local sizes = { false, 0, 1, 123456789, math.maxinteger }
    for width = 15, 200, 5 do
      for _, name in ipairs(names) do
        for _, size in ipairs(sizes) do
          for _, rate in ipairs { false, 0, 0.5, 1e12 } do
            for _, ended in ipairs { false, true } do
              local state = {
                name = name,
                size = size or nil,
                received = size and size // 3 or 987654321,
                rate = rate or nil,
                elapsed = 4000.7,
                ended = ended,
              }
              for _, utf8_terminal in ipairs { false, true } do
                local shown = line.file(state, width, utf8_terminal)
                assert.is_true(columns_of(shown) <= width, shown)
                assert.is_true(utf8_terminal or not shown:find "[\128-\255]", shown)
              end
            end
          end
        end
        local batch = { done = 1000, total = 99999, running = 812, failed = 77, elapsed = 36000 }
        for _, utf8_terminal in ipairs { false, true } do
          assert.is_true(columns_of(line.batch(batch, width, utf8_terminal)) <= width)
        end
        local execution = { status = "SUCCEEDED_AND_MORE_OF_IT" }
        local wait = { name = name, execution = execution, elapsed = 36000 }
        for _, utf8_terminal in ipairs { false, true } do
          assert.is_true(columns_of(line.wait(wait, width, utf8_terminal)) <= width)
        end
      end
    end
  end)

  it("keeps the end of a name that is cut", function()
    local function of(name, width, utf8_terminal)
      return line.file({ name = name, received = 0, elapsed = 0 }, width, utf8_terminal)
    end
    assert.equal("…thing.png  0 B", of("measurement-of-everything.png", 15, true))
    assert.equal("...hing_t.png  0 B", of("measurement-of-everything_t.png", 18, false))
    assert.equal("…果.png  0 B", of("日本語の結果.png", 13, true))
  end)

  it("removes control characters from names", function()
    for name, shown in pairs {
      ["a\27[31mb"] = "a [31mb",
      ["a\r\nb\tc\0d\127e"] = "a b c d e",
      ["a\u{9b}31m"] = "a?31m",
      ["a\u{202e}gpj.exe"] = "a?gpj.exe",
      ["a\x9b31m"] = "a?31m",
      ["ä"] = "ä",
    } do
      assert.equal(
        shown .. "  0 B  0:00",
        line.file({ name = name, received = 0, elapsed = 0 }, 40, true)
      )
    end
    local state = { name = "ä \x9b31m", received = 0, elapsed = 0 }
    assert.equal("?? ?31m  0 B  0:00", line.file(state, 40, false))
  end)
end)
