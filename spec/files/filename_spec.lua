-- Names chosen by others, made safe.

local filename = require "qhub.files.filename"

-- The safe name without the mark that tells it from the names of other files.
local function safe(name)
  return (filename.safe(name):gsub("~%x%x%x%x%x%x%x%x%f[.\0]", ""))
end

describe("a safe file name", function()
  it("is the name itself when that is harmless", function()
    for _, name in ipairs {
      "result.bin",
      "a b (1).tar.gz",
      "two  blanks.txt",
      "größe-Ψ-結果.csv",
      "console.log",
      "common.txt",
      "100%.txt",
      "~x",
    } do
      assert.equal(name, filename.safe(name))
    end
  end)

  it("differs for different names, even when their safe forms would be equal", function()
    local seen = {}
    for _, name in ipairs {
      "plots_e.png",
      "plots/e.png",
      "plots\\e.png",
      "plots//e.png",
      "plots_e.png ",
      "plots:e.png",
      "plots\u{202E}e.png",
      filename.safe "plots/e.png",
      "",
      "download",
      "..",
    } do
      local result = filename.safe(name)
      assert.is_nil(seen[result], result)
      seen[result] = name
    end
    assert.matches("^plots_e~%x%x%x%x%x%x%x%x%.png$", filename.safe "plots/e.png")
    assert.equal(filename.safe "plots/e.png", filename.safe "plots/e.png")
  end)

  it("leads to no other folder", function()
    assert.equal("x", safe "../../x")
    assert.equal("etc_passwd", safe "/etc/passwd")
    assert.equal("a_b.txt", safe "a/./../b.txt")
    assert.equal("windows_x.dll", safe "..\\..\\windows\\x.dll")
    assert.equal("C__x", safe "C:\\x")
    assert.equal("folder", safe "folder/")
  end)

  it("is never empty", function()
    for _, name in ipairs { "", ".", "..", "...", "/", "../..", "\\", " ", ". .", "./ ." } do
      assert.equal("download", safe(name))
    end
  end)

  it("has no control characters, zero bytes or what Windows refuses", function()
    assert.equal("a b c d", safe "a\0b\nc\127d")
    assert.equal("a_b", safe "a\u{85}b")
    assert.equal("_______", safe '<>:"|?*\27\r\t')
  end)

  it("has no direction-changing characters", function()
    assert.equal("invoice_fdp.exe", safe "invoice\u{202E}fdp.exe")
  end)

  it("is valid UTF-8", function()
    assert.equal("a_b", safe "a\xFFb")
    assert.equal("_", safe "\xC3")
    assert.equal("ü__", safe "ü\xE2\x82")
    assert.equal("__x", safe "\xC0\x80x")
    for _ = 1, 200 do
      local bytes = {}
      for index = 1, math.random(1, 300) do
        bytes[index] = string.char(math.random(0, 255))
      end
      local name = filename.safe(table.concat(bytes))
      assert.is_truthy(utf8.len(name))
      assert.is_true(#name >= 1 and #name <= 255)
      assert.is_nil(name:find "[%z\1-\31/\\]")
    end
  end)

  it("is neither hidden nor an option, and has no spaces or dots at its ends", function()
    assert.equal("_bashrc", safe ".bashrc")
    assert.equal("_rf", safe "-rf")
    assert.equal("a", safe "  a. . ")
    assert.equal("_hidden", safe " .hidden")
  end)

  it("has at most 255 bytes, keeps its extension, and is cut between characters", function()
    assert.equal(("x"):rep(242) .. ".csv", safe(("x"):rep(400) .. ".csv"))
    assert.equal(("ü"):rep(120) .. ".json", safe(("ü"):rep(200) .. ".json"))
    assert.equal(("y"):rep(246), safe(("y"):rep(256)))
    assert.equal(("y"):rep(255), safe(("y"):rep(255)))
    for _, name in ipairs {
      "a." .. ("z"):rep(300),
      "CON." .. ("z"):rep(300),
      ("ü"):rep(200) .. ".c",
    } do
      assert.is_true(#filename.safe(name) <= 255)
    end
  end)
end)
