-- Foreign text in the messages of errors: one line, without control characters, not too long.

local FakeTransport = require "spec.support.fake_transport"
local has_parts = require "spec.support.has_parts"
local qhub = require "qhub"
local show = require "qhub.error.text"

describe("foreign text in a message", function()
  -- Nothing that a terminal would obey, in UTF-8 or without it.
  local function is_harmless(text)
    return not text:find "%c"
      and utf8.len(text)
      and not text:find "\xC2[\x80-\x9F]"
      and not text:find "\xE2\x80[\x8E\x8F\xA8-\xAE]"
      and not text:find "\xE2\x81[\xA6-\xAF]"
  end

  it("cannot control the terminal", function()
    for _, hostile in ipairs {
      "\27[31mred",
      "\u{9B}31m",
      "\x9B31m",
      "a\x9Db\x84",
      "\u{202E}fdp.exe",
      "\u{2066}x\u{2069}",
      "\u{61C}x",
      "\u{2028}x",
      "\xF0\x9F",
      "\xED\xA0\x80",
      "a\nb\rc\0d",
    } do
      assert.is_true(is_harmless(show.line(hostile)) and true, (("%q"):format(hostile)))
      local client = FakeTransport({
        { status_code = 500, body = qhub.json.encode { message = utf8.len(hostile) and hostile } },
        { status_code = 500, body = '{"message":"' .. hostile:gsub("%c", "") .. '"}' },
      }):client { max_retries = 0 }
      for _ = 1, 2 do
        local _, err = client:get_status "1"
        assert.is_true(is_harmless(tostring(err)) and true, tostring(err))
      end
    end
  end)

  it("is unchanged when it is harmless", function()
    for _, text in ipairs { "Zustände → «naïve»", "日本語", "👩‍🔬", "100 €" } do
      assert.equal(text, show.line(text))
    end
  end)

  it("is cut between characters", function()
    for length = 1, 12 do
      local text = show.line(("é€😀"):rep(100), length)
      assert.is_true(is_harmless(text) and true, text)
      assert.is_true(#text <= length + #"…")
    end
  end)

  it("keeps its words when the token is one of them", function()
    local client =
      FakeTransport({ { status_code = 500, body = '{"message":"too many"}' } }):client {
        token = "any",
        max_retries = 0,
      }
    local _, err = client:get_status "1"
    has_parts(tostring(err), { "too many" })
  end)
end)
