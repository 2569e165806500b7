-- Result files saved to disk: the path holds the whole file or what it held before, and nothing is
-- left beside it unless it is to be resumed. Tests with "#process" start other programs.

local digest = require "openssl.digest"
local FakeTransport = require "spec.support.fake_transport"
local gateway = require "spec.support.gateway"
local lfs = require "lfs"
local loop = require "qhub.tasks.loop"
local process = require "spec.support.process"
local qhub = require "qhub"
local shared = require "spec.support.shared"
local virtual_time = require "spec.support.virtual_time"

local NAME = "result.bin"
local SIZE = 600000

local function shell(command)
  local child = assert(io.popen(command .. " 2>&1"))
  local output = child:read "a"
  child:close()
  return output
end

local function read(path)
  local file <close> = assert(io.open(path, "rb"))
  return file:read "a"
end

local function write(path, content)
  local file <close> = assert(io.open(path, "wb"))
  assert(file:write(content))
end

local function sha256(text)
  return (
    digest.new("sha256"):final(text):gsub(".", function(byte)
      return ("%02x"):format(byte:byte())
    end)
  )
end

describe("a download", function()
  local server = shared(gateway.start)
  local client, execution, folder, path

  -- A run with one file, which is also the one that `execution` stands for from now on.
  local function run(name, spec)
    local simulate = { pending_ms = 0, running_ms = 0, files = { [name] = spec } }
    execution = client:execution(server:create(1, { simulate = simulate })[1])
    return execution
  end

  before_each(function()
    client = qhub.HubServiceClient { base_url = server.url, token = server.token }
    folder = shell("mktemp -d"):gsub("%s+$", "") .. "/"
    path = folder .. "saved.bin"
    run(NAME, SIZE)
  end)

  after_each(function()
    client:close()
    shell(("rm -rf '%s'"):format(folder))
  end)

  local function fault(fault_of_rule, rule)
    rule = rule or {}
    rule.fault, rule.match = fault_of_rule, { operation = "get_result_file" }
    server:fault(rule)
  end

  local function asked()
    local list = {}
    for _, request in ipairs(server:requests().requests) do
      if request.operation == "get_result_file" then list[#list + 1] = request end
    end
    return list
  end

  local function names()
    local list = {}
    for name in shell(("ls -A '%s'"):format(folder)):gmatch "[^\n]+" do
      list[#list + 1] = name
    end
    return list
  end

  -- The saved file is that of `execution`, and the only one in the folder.
  local function assert_saved(at, name)
    assert.equal(server:file(execution.id, name or NAME).sha256, sha256(read(at or path)))
    assert.equal(1, #names())
  end

  local function assert_failed(kind, pattern, ok, err)
    assert.is_nil(ok)
    assert.equal(kind, err.kind)
    assert.matches(pattern, err.message)
    return err
  end

  local function usage_error(pattern, fn, ...)
    local ok, message = pcall(fn, ...)
    assert.is_false(ok)
    assert.matches("^spec/files/download_spec.lua:%d+: ", message)
    assert.matches(pattern, message)
  end

  -- A download with `resume` that ends by itself after `count` bytes or more.
  local function interrupt(count, options)
    local stop = {}
    local o = { resume = true }
    for name, value in pairs(options or {}) do
      o[name] = value
    end
    function o.progress(received)
      if received >= count then error(stop) end
    end
    local ok, err = pcall(execution.download, execution, NAME, path, o)
    assert.is_false(ok)
    assert.equal(stop, err)
  end

  describe("to a path", function()
    it("returns the path and leaves nothing else", function()
      assert.equal(path, execution:download(NAME, path))
      assert_saved()
      assert.equal(1, #asked())
    end)

    it("replaces what was there, when it is complete", function()
      write(path, "old")
      local before = {}
      assert(execution:download(NAME, path, {
        progress = function()
          before[read(path)] = true
        end,
      }))
      assert.same({ old = true }, before)
      assert_saved()
    end)

    it("saves an empty file, and one of unknown size", function()
      run(NAME, "")
      assert(execution:download(NAME, path))
      assert_saved()
      run(NAME, { size = 100000, chunked = true })
      assert(execution:download(NAME, path))
      assert_saved()
    end)

    it("is resumed when the connection breaks", function()
      fault({ truncate = 100000 }, { times = 3 })
      assert(execution:download(NAME, path))
      assert_saved()
      assert.equal(4, #asked())
    end)

    it("takes the options of a request", function()
      local status_code
      assert(execution:download(NAME, path, {
        headers = { ["X-Own"] = "1" },
        query = { part = "a" },
        timeout = 5,
        chunk_size = 1000,
        on_response = function(response)
          status_code = response.status_code
        end,
      }))
      assert_saved()
      assert.equal("1", asked()[1].headers["x-own"])
      assert.equal("part=a", asked()[1].query)
      assert.equal(200, status_code)
    end)

    it("runs in parallel with others in tasks", function()
      qhub.tasks.run(function()
        local list = {}
        for index = 1, 5 do
          list[index] = qhub.tasks.spawn(function()
            return execution:download(NAME, path .. index)
          end)
        end
        local saved, errors = qhub.tasks.gather(list)
        assert.is_nil(errors)
        for index = 1, 5 do
          assert.equal(path .. index, saved[index])
          assert.equal(SIZE, #read(saved[index]))
        end
      end)
      assert.equal(5, #names())
    end)

    it("raises usage errors at the caller's line, and sends nothing", function()
      local sub = execution
      usage_error("path must be", sub.download, sub, NAME)
      for _, case in ipairs {
        { "path must be", NAME, "" },
        { "path must be", NAME, 42 },
        { "path must be", NAME, "a\0b" },
        { "unknown option 'overwite'; known are ", NAME, path, { overwite = true } },
        { "overwrite must be true or false", NAME, path, { overwrite = 1 } },
        { "progress must be a function", NAME, path, { progress = true } },
        { "timeout must be", NAME, path, { timeout = -1 } },
        { "file must be", "", path },
        { "file must not be", "..", path },
        { "file must be", nil, path },
      } do
        usage_error(case[1], function()
          execution:download(case[2], case[3], case[4])
        end)
      end
      assert.equal(0, server:requests().total)
      assert.same({}, names())
    end)
  end)

  it("keeps the mode of the file that it replaces", function()
    local file = assert(io.open(path, "w"))
    file:write "old"
    file:close()
    shell(("chmod 600 '%s'"):format(path))
    assert.equal(path, execution:download(NAME, path))
    assert.equal("rw-------", lfs.attributes(path, "permissions"))
    assert_saved(path)
  end)

  describe("to a folder", function()
    it("uses the file's name", function()
      assert.equal(folder .. NAME, execution:download(NAME, folder))
      assert_saved(folder .. NAME)
      assert.equal(folder .. NAME, execution:download(NAME, (folder:gsub("/$", ""))))
      assert_saved(folder .. NAME)
    end)

    it("uses a name that cannot lead out of it or hide", function()
      for name, expected in pairs {
        ["../../evil"] = "^evil~%x+$",
        ["/etc/passwd"] = "^etc_passwd~%x+$",
        [".bashrc"] = "^_bashrc~%x+$",
        ["a\\b"] = "^a_b~%x+$",
      } do
        run(name, 1000)
        local saved = execution:download(name, folder)
        assert.equal(folder, saved:sub(1, #folder))
        assert.matches(expected, saved:sub(#folder + 1))
        assert_saved(saved, name)
        os.remove(saved)
      end
    end)

    it("keeps files apart whose names become equal when made safe", function()
      run("plots/e.png", 1000)
      local first = execution:download("plots/e.png", folder)
      run("plots_e.png", 1000)
      local second = execution:download("plots_e.png", folder)
      assert.equal(folder .. "plots_e.png", second)
      assert.not_equal(first, second)
      assert.is_true(lfs.attributes(first) ~= nil)
      os.remove(first)
      os.remove(second)
    end)

    it("fails when the folder does not exist", function()
      local err = assert_failed("file", "No such file", execution:download(NAME, folder .. "no/"))
      assert.equal(folder .. "no/" .. NAME, err.path)
      assert.matches(folder .. "no/", tostring(err), 1, true)
      write(path, "")
      assert_failed("file", "Not a directory", execution:download(NAME, path .. "/"))
      assert_failed("file", "No such file", execution:download(NAME, folder .. "no/file"))
      assert.equal(0, #asked())
    end)

    it("fails when something other than a file has the name", function()
      assert(os.execute(("mkdir '%s'"):format(folder .. NAME)))
      assert_failed("file", "is a directory", execution:download(NAME, folder))
      assert.equal(0, #asked())
    end)
  end)

  describe("that continues an earlier call when the gateway ignores Range", function()
    local DATE = "Fri, 27 Feb 2026 10:04:50 GMT"

    -- Breaks after five bytes; then has all ten again, in pieces that take their time.
    local function saved(fields)
      local _ <close> = virtual_time()
      fields["content-length"] = "10"
      local function answer(pieces, failure)
        return {
          status_code = 200,
          headers = fields,
          body = function()
            qhub.tasks.sleep(10)
            local piece = table.remove(pieces, 1)
            return piece, not piece and failure or nil
          end,
        }
      end
      local fake = FakeTransport {
        answer({ "11111" }, "reset"),
        answer { "22", "22", "22", "22", "22" },
      }
      local own = fake:client { max_retries = 0 }:execution "1"
      local options = { resume = true, total_timeout = 40 }
      assert.is_nil((own:download(NAME, path, options)))
      assert(own:download(NAME, path, options))
      return read(path)
    end

    it("skips what was saved, and total_timeout ends at the first byte", function()
      assert.equal("1111122222", saved { etag = '"v1"' })
    end)

    it("starts over when the file's date is too recent to identify one version", function()
      assert.equal("2222222222", saved { ["last-modified"] = DATE, date = DATE })
    end)
  end)

  it("does not replace a pipe or a device", function()
    shell("mkfifo " .. path)
    local saved, err = run(NAME, 10):download(NAME, path)
    assert.is_nil(saved)
    assert.equal("file", err.kind)
    assert.matches("is a device or a pipe", err.message)
    assert.equal("named pipe", lfs.attributes(path, "mode"))
    os.remove(path)
  end)

  describe("with overwrite = false", function()
    it("fails before anything is sent when the target exists", function()
      write(path, "old")
      local options = { overwrite = false }
      assert_failed("file", "exists", execution:download(NAME, path, options))
      assert.equal(0, #asked())
      assert.equal("old", read(path))
    end)

    it("does not replace a target that appears in the meantime", function()
      local function appear()
        write(path, "new")
      end
      local options = { overwrite = false, progress = appear }
      assert_failed("file", "File exists", execution:download(NAME, path, options))
      assert.equal("new", read(path))
      assert.equal(1, #names())
    end)

    it("saves the file when there is no target", function()
      assert(execution:download(NAME, path, { overwrite = false }))
      assert_saved()
    end)
  end)

  describe("that fails", function()
    it("leaves the old target, and no part file", function()
      write(path, "old")
      fault({ truncate = 100000 }, { times = 2 })
      assert_failed("network", "", execution:download(NAME, path, { max_retries = 0 }))
      assert_failed("api", "404", execution:download("none", path))
      assert.equal("old", read(path))
      assert.same({ "saved.bin" }, names())
    end)

    it("propagates the program's own error, and leaves nothing", function()
      local reason = {}
      local ok, err = pcall(execution.download, execution, NAME, path, {
        progress = function(received)
          if received > 0 then error(reason) end
        end,
      })
      assert.is_false(ok)
      assert.equal(reason, err)
      assert.same({}, names())
    end)

    it("leaves nothing when its task is cancelled or abandoned", function()
      fault({ hang = "body", after = 100000 }, { times = 2 })
      local received = 0
      local function progress(count)
        received = count
      end
      local function begin()
        received = 0
        local task = qhub.tasks.spawn(execution.download, execution, NAME, path, {
          progress = progress,
        })
        while received < 100000 do
          qhub.tasks.sleep(0.001)
        end
        return task
      end
      qhub.tasks.run(function()
        local task = begin()
        task:cancel()
        assert_failed("cancelled", "", task:join())
      end)
      assert.same({}, names())
      local ok = pcall(qhub.tasks.run, function()
        begin()
        error "left early"
      end)
      assert.is_false(ok)
      assert.same({}, names())
    end)

    it("reports a failed commit, and leaves the target unchanged", function()
      local function block(received, size)
        if received == size then os.execute(("mkdir '%s'"):format(path)) end
      end
      assert_failed("file", "s a directory", execution:download(NAME, path, { progress = block }))
      assert.same({ "saved.bin" }, names())
    end)

    it("reports a full disk, and leaves nothing #process", function()
      local script = os.tmpname()
      write(
        script,
        ([[
          local qhub = require "qhub"
          local client = qhub.HubServiceClient { base_url = %q, token = %q }
          local ok, err = client:execution(%q):download(%q, %q, { resume = arg[1] == "resume" })
          print(ok, err.kind, err.errno, err.message)
        ]]):format(server.url, server.token, execution.id, NAME, path)
      )
      -- Counters of coverage would be too large for the limit as well.
      local command = "ulimit -f 400; GCOV_PREFIX=/dev/null GCOV_ERROR_FILE=/dev/null "
        .. "LUA_PATH='%s' LUA_CPATH='%s' lua5.4 %s "
      command = command:format(package.path, package.cpath, script)
      assert.matches("^nil\tfile\tEFBIG\tdownload: [^ ]*/saved.bin: .*too large", shell(command))
      assert.same({}, names())
      assert.matches("^nil\tfile\tEFBIG\t", shell(command .. "resume"))
      os.remove(script)
      assert.equal(2, #names())
      assert(execution:download(NAME, path, { resume = true }))
      assert.matches("^bytes=%d%d%d%d%d%d%-$", asked()[3].range)
      assert_saved()
    end)
  end)

  describe("with progress", function()
    it("is notified of received bytes and size, from the start to the end", function()
      local calls = {}
      assert(execution:download(NAME, path, {
        progress = function(received, size)
          calls[#calls + 1] = received
          assert.equal(SIZE, size)
        end,
      }))
      assert.equal(0, calls[1])
      assert.equal(SIZE, calls[#calls])
      for index = 2, #calls do
        assert.is_true(calls[index] > calls[index - 1])
      end
    end)

    it("counts bytes that an earlier call has saved", function()
      interrupt(300000)
      local first
      assert(execution:download(NAME, path, {
        resume = true,
        progress = function(received, size)
          first = first or received
          assert.equal(SIZE, size)
        end,
      }))
      assert.is_true(first >= 300000)
    end)

    it("works with qhub.progress without a terminal", function()
      assert(execution:download(NAME, path, { progress = qhub.progress }))
      assert_saved()
    end)
  end)

  describe("with resume", function()
    it("continues where an earlier call ended, and leaves nothing else", function()
      interrupt(300000)
      assert.equal(2, #names())
      assert.equal(path, execution:download(NAME, path, { resume = true }))
      assert_saved()
      local requests = asked()
      assert.equal(2, #requests)
      local from = tonumber(requests[2].range:match "^bytes=(%d+)%-$")
      assert.is_true(from >= 300000 and from < SIZE)
      assert.equal(server:file(execution.id, NAME).etag, requests[2].headers["if-range"])
    end)

    it("continues several times, and across breaks", function()
      interrupt(100000)
      interrupt(200000)
      fault({ truncate = 50000 }, { times = 2 })
      interrupt(400000)
      fault { truncate = 50000 }
      assert(execution:download(NAME, path, { resume = true }))
      assert_saved()
    end)

    it("starts over when the file has changed, with one request", function()
      interrupt(300000)
      fault { change_etag = true }
      assert(execution:download(NAME, path, { resume = true }))
      assert_saved()
      assert.equal(2, #asked())
      assert.equal(200, asked()[2].status)
    end)

    it("skips the saved bytes when the server ignores Range", function()
      interrupt(300000)
      fault { ignore_range = true }
      assert(execution:download(NAME, path, { resume = true }))
      assert_saved()
      assert.equal(2, #asked())
    end)

    it("starts over when the server responds with another range or with 416", function()
      for _, headers in ipairs {
        { ["Content-Range"] = "bytes 0-1/2" },
        { ["Content-Range"] = "bytes */5" },
      } do
        server:clear()
        interrupt(300000)
        fault { headers = headers, status = headers["Content-Range"]:find "*" and 416 or nil }
        assert(execution:download(NAME, path, { resume = true }))
        assert_saved()
        assert.equal(3, #asked())
        os.remove(path)
      end
    end)

    it("starts over when the part belongs to another file", function()
      interrupt(300000)
      run(NAME, SIZE)
      assert(execution:download(NAME, path, { resume = true }))
      assert_saved()
      assert.is_nil(asked()[2].range)
    end)

    it("starts over when its record of the part is missing, damaged, or does not match", function()
      local note = folder .. ".saved.bin.qhub-part.note"
      for _, damage in ipairs {
        function()
          return nil
        end,
        function()
          return ""
        end,
        function(text)
          return text:gsub('etag: "', 'etag: \r"')
        end,
        function(text)
          return text:gsub("length: %d+", "length: 5")
        end,
      } do
        server:clear()
        interrupt(300000)
        local damaged = damage(read(note))
        os.remove(note)
        if damaged then write(note, damaged) end
        assert(execution:download(NAME, path, { resume = true }))
        assert_saved()
        assert.is_nil(asked()[2].range)
      end
    end)

    it("commits a complete part when the gateway confirms it", function()
      local function appear(received, size)
        if received == size then write(path, "in the way") end
      end
      local options = { resume = true, overwrite = false, progress = appear }
      assert_failed("file", "exists", execution:download(NAME, path, options))
      assert.equal(3, #names())
      assert(execution:download(NAME, path, { resume = true }))
      assert_saved()
      assert.equal(("bytes=%d-"):format(SIZE - 1), asked()[2].range)
    end)

    it("keeps the part after a transient failure", function()
      interrupt(300000)
      fault { status = 403 }
      assert_failed("api", "403", execution:download(NAME, path, { resume = true }))
      assert(execution:download(NAME, path, { resume = true }))
      assert.is_truthy(asked()[3].range)
      assert_saved()
    end)

    it("keeps nothing of a file that cannot be resumed", function()
      run(NAME, { size = SIZE, etag = false, last_modified = false })
      interrupt(300000)
      assert.same({}, names())
      fault { truncate = 100 }
      assert_failed("network", "", execution:download(NAME, path, { resume = true }))
      assert.same({}, names())
    end)

    it("reads an encoded file again and skips the saved bytes", function()
      fault({ content_encoding = "gzip" }, { times = 2 })
      interrupt(300000)
      assert(execution:download(NAME, path, { resume = true }))
      assert_saved()
      assert.is_nil(asked()[2].range)
    end)

    it("locks the part against other writers", function()
      local failure
      assert(execution:download(NAME, path, {
        resume = true,
        progress = function()
          if not failure then
            local _, err = execution:download(NAME, path, { resume = true })
            failure = err
          end
        end,
      }))
      assert_failed("file", "another download", nil, failure)
      assert_saved()
    end)

    it("does not wait longer than the usual retry delays", function()
      local sleep = stub(loop, "sleep_until").returns(true)
      finally(function()
        sleep:revert()
      end)
      interrupt(300000)
      fault({ status = 503 }, { times = 2 })
      assert(execution:download(NAME, path, { resume = true }))
      assert_saved()
      assert.equal(4, #asked())
    end)
  end)

  describe("of an open file", function()
    local function open()
      return assert(client:get_result_file(execution.id, NAME))
    end

    it("saves and closes it", function()
      local file = open()
      assert.equal(path, file:save(path))
      assert_saved()
      assert.equal(1, #asked())
      usage_error("is closed", function()
        file:read()
      end)
    end)

    it("takes a folder and the options of a download", function()
      local last
      local options = { overwrite = false }
      function options.progress(received)
        last = received
        collectgarbage() -- nothing but the call itself holds the file
      end
      assert.equal(folder .. NAME, open():save(folder, options))
      assert.equal(SIZE, last)
      local file = open()
      assert_failed("file", "exists", file:save(folder, options))
      assert.equal(path, file:save(path, options))
    end)

    it("continues the part of an earlier call", function()
      interrupt(300000)
      assert.equal(path, open():save(path, { resume = true }))
      assert_saved()
      assert.is_truthy(asked()[3].range)
      interrupt(300000)
      server:clear()
      fault { change_etag = true }
      assert.equal(path, open():save(path, { resume = true }))
      assert_saved()
      assert.equal(1, #asked())
    end)

    it("refuses a file that was already read, and request options", function()
      local file <close> = open()
      usage_error("unknown option 'timeout'", function()
        file:save(path, { timeout = 1 })
      end)
      assert(file:read(10))
      usage_error("read already", function()
        file:save(path)
      end)
      assert.same({}, names())
    end)
  end)

  describe("that is interrupted #process", function()
    local function script_of(code)
      local script = os.tmpname()
      write(script, ([[
          local qhub = require "qhub"
          local client = qhub.HubServiceClient { base_url = %q, token = %q }
          local execution, name, path = client:execution(%q), %q, %q
        ]]):format(server.url, server.token, execution.id, NAME, path) .. code)
      local command = "env LUA_PATH='%s' LUA_CPATH='%s' lua5.4 %s"
      return command:format(package.path, package.cpath, script), script
    end

    it("by Ctrl-C leaves no file", function()
      fault { hang = "body", after = 300000 }
      local command, script = script_of [[
        io.stdout:setvbuf "line"
        execution:download(name, path, {
          progress = function(received)
            if received == 300000 then
              print "READY"
            end
          end,
        })
      ]]
      local child = process.start(command .. " 2>&1")
      assert.equal(1, #names())
      child:signal "INT"
      assert.matches("interrupted!", (child:wait()))
      assert.same({}, names())
      os.remove(script)
    end)

    it("by kill -9 leaves the old file or the new one at the path", function()
      local command, script = script_of [[
        while true do
          assert(execution:download(name, path))
        end
      ]]
      local expected = server:file(execution.id, NAME).sha256
      local found = {}
      for round = 1, 15 do
        write(path, "old")
        local seconds = 0.02 + 0.004 * round + 0.004 * math.random()
        shell(("timeout -s KILL %.4f %s"):format(seconds, command))
        local content = read(path)
        found[content] = true
        assert.is_true(content == "old" or sha256(content) == expected)
      end
      os.remove(script)
      for content in pairs(found) do
        assert.is_true(content == "old" or #content == SIZE)
      end
    end)

    it("by kill -9 is resumed", function()
      local command, script = script_of [[
        execution:download(name, path, {
          resume = true,
          progress = function(received)
            if received >= 300000 then
              os.execute "kill -9 $PPID"
            end
          end,
        })
      ]]
      assert.is_nil(shell(command):find "traceback")
      os.remove(script)
      assert.equal(2, #names())
      assert(execution:download(NAME, path, { resume = true }))
      assert.is_truthy(asked()[2].range)
      assert_saved()
    end)
  end)
end)
