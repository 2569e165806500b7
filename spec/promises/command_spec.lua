-- The command qhub-lua as it is typed, against the gateway simulator: what goes to stdout, what to
-- stderr, and the status; in a pseudo-terminal where that matters.

local gateway = require "spec.support.gateway"
local shared = require "spec.support.shared"

local plain_assert = _G.assert

describe("qhub-lua", function()
  local server = shared(gateway.start, { set = { "pending_ms=50", "running_ms=150" } })
  local folder

  setup(function()
    folder = os.tmpname()
    os.remove(folder)
    plain_assert(os.execute("mkdir " .. folder))
    local command = plain_assert(io.open(folder .. "/qhub-lua", "w"))
    local top = plain_assert(os.getenv "PWD")
    command:write("#!/bin/sh\nexec lua5.4 '", top, '/bin/qhub-lua\' "$@"\n')
    command:close()
    plain_assert(os.execute("chmod +x " .. folder .. "/qhub-lua"))
  end)
  teardown(function()
    os.execute("rm -r " .. folder)
  end)

  -- Runs the shell command `text`, in which `qhub-lua` is the command of this tree. Returns what it
  -- wrote to stdout and to stderr, and its status.
  local function shell(text, environment)
    local script = plain_assert(io.open(folder .. "/script", "w"))
    script:write("cd '", folder, "'\n")
    for _, words in ipairs { "HOME=" .. folder, environment or "QHUB_TOKEN=" .. server.token } do
      script:write("export ", words, "\n")
    end
    script:write("export QHUB_BASE_URL=", server.url, "\n")
    script:write("PATH=", folder, ":$PATH\n", text, "\n")
    script:close()
    local pipe = plain_assert(
      io.popen("ASAN_OPTIONS=detect_leaks=0 bash " .. folder .. "/script 2>" .. folder .. "/err")
    )
    local out = pipe:read "a"
    local _, _, status = pipe:close()
    local err = plain_assert(io.open(folder .. "/err")):read "a"
    return out, err, status
  end

  local SLOW = [[echo '{"simulate":{"running_ms":60000}}' | ]]
  local FAILING = [[echo '{"simulate":{"outcome":"FAILED"}}' | ]]
  local BODY = [[echo '{"input":{"molecule":"H2"}}' | ]]

  it("prints the result of a run as JSON on stdout, and nothing else there", function()
    local out, err, status = shell(BODY .. "qhub-lua --json run -")
    assert.equal(0, status, err)
    local id = err:match "started ([%w-]+)"
    assert.matches('^{.*"energy":%-1.*}\n$', out)
    assert.is_truthy(out:find(id, 1, true))
  end)

  it("shows the log on stderr during the run, and saves its files", function()
    local out, err, status = shell(BODY .. "qhub-lua run - --follow --download files; ls files")
    assert.equal(0, status, err)
    assert.matches("execution accepted.*result written", err)
    assert.matches("hello.txt\noutput.json\nplot.svg\nresult.bin\n$", out)
  end)

  it("prints null for NaN and infinities in a result", function()
    server:fault { match = { path = "/result" }, fault = { body = '{"x":[NaN,-Infinity,1]}' } }
    local out, err, status = shell(BODY .. "qhub-lua --json run -")
    assert.equal(0, status, err)
    assert.equal('{"x":[null,null,1]}\n', out)
  end)

  it("prints what steers terminals as blanks, and nothing for what is missing", function()
    local esc = "\\u001b[31m"
    local list = '[{"id":"a"},{"id":"b","status":"' .. esc .. '","createdAt":"\\u009b1m"}]'
    server:fault { match = { method = "GET", pattern = "/v1/$" }, fault = { body = list } }
    local entries = '[{"message":{"' .. esc .. '":[NaN]}}]'
    server:fault { match = { path = "/log" }, fault = { body = entries } }
    local out, err, status = shell "qhub-lua list; qhub-lua logs x"
    assert.equal(0, status, err)
    assert.matches("^a +\nb +  %[31m +1m\n", out)
    assert.matches('{"%C*":%[null%]}\n$', out)
    assert.is_nil(out:find("[\27\x9b]"))
  end)

  it("starts a run with tags and returns at once", function()
    local out, err, status = shell(BODY .. "qhub-lua --json run - --detach --tag a --tag b")
    assert.equal(0, status, err)
    assert.equal(1, select(2, out:gsub("\n", "\n")))
    assert.matches('"tags":%["a","b"%]', out)
  end)

  it("waits for executions, lists them, and shows and downloads their results", function()
    local out, err, status = shell(BODY .. [[qhub-lua --json run - --detach >one
      id=$(sed 's/.*"id":"\([^"]*\)".*/\1/' one)
      qhub-lua wait $id && qhub-lua list | grep -c $id
      qhub-lua logs --follow $id | head -n 1
      qhub-lua files $id
      qhub-lua download $id hello.txt -o there && test -s there/hello.txt]])
    assert.equal(0, status, err)
    assert.matches("^%S+  SUCCEEDED .*\n1\n%S+  INFO    execution accepted\n", out)
    assert.matches("hello.txt\n", out)
  end)

  it("exits with the status for the kind of error, after one line about it", function()
    for command, expected in pairs {
      ["qhub-lua status nope"] = { 3, "404" },
      ["qhub-lua list --timeout 1"] = { 2, "unknown option" },
      ["qhub-lua run nowhere.json"] = { 9, "nowhere.json: No such file" },
      ["echo '{' | qhub-lua run -"] = { 2, "is not JSON" },
      ["echo '[1]' | qhub-lua run -"] = { 2, "the body must encode to a JSON object" },
      ["unset QHUB_BASE_URL; qhub-lua list"] = { 2, "%-%-base%-url" },
      ["unset QHUB_TOKEN; qhub-lua list"] = { 7, "no access token" },
      [SLOW .. "qhub-lua run - --timeout 1"] = { 4, "qhub%-lua wait " },
      [FAILING .. "qhub-lua run -"] = { 8, "ended as FAILED" },
      ["qhub-lua"] = { 2, "Usage: qhub%-lua" },
    } do
      local out, err, status = shell(command)
      assert.equal("", out, command)
      assert.equal(expected[1], status, command .. ": " .. err)
      assert.matches(expected[2], err, command)
      assert.is_nil(err:find("stack traceback", 1, true), command)
    end
  end)

  it("reads the token from a file, with or without a final line break", function()
    local out, err, status = shell(
      "echo " .. server.token .. " >token; qhub-lua --token-file token list | wc -l",
      "QHUB_TOKEN="
    )
    assert.equal(0, status, err)
    assert.matches("%d+", out)
  end)

  it("leaves the run running on Ctrl-C, and says how to continue", function()
    local _, err, status = shell [[
      echo '{"simulate":{"running_ms":60000}}' >long.json
      set -m
      qhub-lua run long.json 2>said & job=$!
      until grep -q started said; do sleep 0.02; done
      kill -INT -$job
      wait $job; status=$?
      cat said >&2
      exit $status]]
    assert.equal(130, status, err)
    local id = err:match "started ([%w-]+)"
    assert.matches("the run continues: qhub%-lua wait " .. id:gsub("%-", "%%-"), err)
  end)

  it("draws its progress on a terminal and leaves one line", function()
    local out, err, status = shell(BODY .. [[qhub-lua run - --detach --json >/dev/null 2>&1
      export TERM=xterm LC_ALL=C.UTF-8 SHELL=/bin/sh
      id=$(qhub-lua list | head -n 1 | cut -d ' ' -f 1)
      script -qec "qhub-lua wait $id" /dev/null </dev/null]])
    assert.equal(0, status, err)
    assert.matches("SUCCEEDED", out)
    assert.is_nil(out:find("traceback", 1, true))
  end)

  it("offers completion for bash, zsh and fish", function()
    for _, name in ipairs { "bash", "zsh", "fish" } do
      local out, err, status = shell("qhub-lua completion " .. name)
      assert.equal(0, status, err)
      assert.matches("download", out)
    end
  end)

  it("has a manual page that says what its help says", function()
    local page = plain_assert(io.open "docs/qhub-lua.1"):read "a"
    local pipe = plain_assert(io.popen "lua5.4 scripts/manual_page.lua")
    local now = pipe:read "a"
    plain_assert(pipe:close())
    assert.equal(now, page, "make docs writes it anew")
  end)

  it("says how to install argparse when it is missing", function()
    local out, err, status = shell "LUA_PATH=';' qhub-lua list"
    assert.equal("", out)
    assert.equal(1, status)
    assert.matches("lua%-argparse", err)
  end)
end)
