-- The documentation is true: every block of Lua in it runs, its links lead somewhere, and what it
-- says of files and options is so.

local gateway = require "spec.support.gateway"
local shared = require "spec.support.shared"

local plain_assert = _G.assert

local PAGES = { "README.md" }
for path in plain_assert(io.popen "ls docs/*.md"):lines() do
  PAGES[#PAGES + 1] = path
end

local function text_of(path)
  local file <close> = plain_assert(io.open(path, "rb"))
  return file:read "a"
end

-- A page's text without its blocks of code.
local function prose_of(path)
  return (text_of(path):gsub("\n```.-\n```", "\n"))
end

local function anchors_of(path)
  local anchors = {}
  for heading in ("\n" .. prose_of(path)):gmatch "\n#+ ([^\n]+)" do
    local anchor = heading:lower():gsub("[^%w_ -]", ""):gsub(" ", "-")
    anchors[anchor] = true
  end
  return anchors
end

describe("documentation", function()
  local server = shared(gateway.start, { set = { "pending_ms=20", "running_ms=50" } })
  local folder, runs

  setup(function()
    folder = os.tmpname()
    os.remove(folder)
    runs = {}
    local top = plain_assert(io.popen "pwd"):read "l"
    for index, page in ipairs(PAGES) do
      local own = folder .. "/" .. index
      plain_assert(os.execute("mkdir -p " .. own))
      local words = {
        "cd",
        own,
        "&& QHUB_BASE_URL=" .. server.url .. " QHUB_TOKEN=" .. server.token,
        "QHUB_ACCESS_KEY_ID=demo-key QHUB_SECRET_ACCESS_KEY=demo-secret",
        "lua5.4",
        top .. "/spec/support/run_blocks.lua",
        top .. "/" .. page,
        server.url,
        "2>&1",
      }
      runs[page] = plain_assert(io.popen(table.concat(words, " ")))
    end
  end)

  teardown(function()
    for _, run in pairs(runs) do
      run:close()
    end
    os.execute("rm -r " .. folder)
  end)

  for _, page in ipairs(PAGES) do
    it("runs as written: " .. page, function()
      local run = runs[page]
      runs[page] = nil
      local said = run:read "a"
      plain_assert(run:close(), said)
      local _, blocks = ("\n" .. text_of(page)):gsub("\n```lua", "")
      local _, ran = ("\n" .. said):gsub("\nok ", "")
      assert.equal(blocks, ran, said)
    end)

    it("has only valid links: " .. page, function()
      local base = page:match "^(.*/)" or ""
      for target in prose_of(page):gmatch "%]%(([^)]+)%)" do
        if not target:find "^https?:" then
          local file, anchor = target:match "^([^#]*)#?(.*)$"
          local path = file == "" and page or base .. file
          path = path:gsub("[^/]+/%.%./", "")
          local found = os.execute("test -e '" .. path .. "'")
          plain_assert(found, page .. " links to " .. target .. ", which is not there")
          if anchor ~= "" then
            plain_assert(anchors_of(path)[anchor], page .. " links to " .. target)
          end
        end
      end
    end)
  end

  it("has every page in the guide's list", function()
    local index = text_of "docs/README.md"
    for _, page in ipairs(PAGES) do
      local name = page:match "^docs/(.*)$"
      if name and name ~= "README.md" then
        plain_assert(index:find("](" .. name .. ")", 1, true), name .. " is not in docs/README.md")
      end
    end
  end)

  it("names every operation and every client option next to Python's", function()
    local page = text_of "docs/python.md"
    for name in pairs(require("qhub.hub.operations").public) do
      plain_assert(page:find("`service.service_api." .. name .. "(", 1, true), name)
      plain_assert(page:find("`service:" .. name .. "(", 1, true), name)
      plain_assert(page:find("api:" .. name .. "(", 1, true), name)
    end
  end)

  it("shows a C host that compiles", function()
    local code = plain_assert(text_of("docs/embedding.md"):match "\n```c\n(.-\n)```")
    local path = os.tmpname()
    local file = plain_assert(io.open(path, "wb"))
    file:write(code)
    file:close()
    local flags = "$(pkg-config --cflags lua5.4 2>/dev/null || pkg-config --cflags lua)"
    local ok = os.execute(
      "LD_PRELOAD= ${CC:-cc} -std=c11 -Wall -Werror -fsyntax-only " .. flags .. " -x c " .. path
    )
    os.remove(path)
    assert.is_true(ok)
  end)

  it("names only files that exist", function()
    for _, page in ipairs(PAGES) do
      for path in text_of(page):gmatch "%f[%w][%w_]+/[%w_/]+%.%l+%f[%W]" do
        local is_ours = path:find "^lua/" or path:find "^src/" or path:find "^types/"
        is_ours = is_ours or path:find "^scripts/" or path:find "^examples/" or path:find "^spec/"
        if is_ours and not path:find "5%.4" then
          plain_assert(os.execute("test -e " .. path), page .. " names " .. path)
        end
      end
    end
  end)

  it("of the architecture names only modules that exist", function()
    local page = text_of "docs/architecture.md"
    for name in page:gmatch "`([%w_/]+)%.lua`" do
      local form = "test -e lua/qhub/%s.lua || test -e %s.lua"
      plain_assert(os.execute(form:format(name, name)), name)
    end
  end)
end)
