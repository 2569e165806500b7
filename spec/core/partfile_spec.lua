-- Part files: qhub.core.partfile. Tests with "#process" in their name start other programs.
local core = require "qhub.core"

local partfile, system = core.partfile, core.system

local directory

local function shell(command)
  local child = assert(io.popen(command .. " 2>&1"))
  local output = child:read("a")
  child:close()
  return output
end

local function list()
  local names = {}
  for name in shell(("ls -A '%s'"):format(directory)):gmatch("[^\n]+") do
    names[#names + 1] = name
  end
  return names
end

local function read(name)
  local file = assert(io.open(directory .. name, "rb"))
  local content = file:read("a")
  file:close()
  return content
end

local function write(name, content)
  local file = assert(io.open(directory .. name, "wb"))
  assert(file:write(content))
  file:close()
  return directory .. name
end

-- Runs Lua code in a child process; `before` is shell code that precedes it.
local function run_child(code, before)
  local script = os.tmpname()
  local file = assert(io.open(script, "w"))
  file:write(
    ("local partfile, directory = require('qhub.core').partfile, %q\n"):format(directory),
    code
  )
  file:close()
  local lua = os.getenv("LUA") or "lua5.4"
  local output = shell(("%s LUA_CPATH='%s' %s %s"):format(before or "", package.cpath, lua, script))
  os.remove(script)
  return output
end

before_each(function()
  directory = shell("mktemp -d"):gsub("%s+$", "") .. "/"
end)

after_each(function()
  collectgarbage()
  shell(("rm -rf '%s'"):format(directory))
end)

describe("a part that replaces a file", function()
  it("has the permissions of that file", function()
    for _, open in ipairs({ partfile.create, partfile.resume }) do
      local target = write("private", "old")
      shell(("chmod 600 '%s'"):format(target))
      local part = assert(open(target))
      assert(part:append("new"))
      assert(part:commit())
      assert.equal("600\n", shell(("stat -c %%a '%s'"):format(target)))
      assert.equal("new", read("private"))
    end
  end)
end)

describe("a new part", function()
  it("grows next to its target under another name", function()
    local part = assert(partfile.create(directory .. "result.bin"))
    assert.matches("/%.result%.bin%.%x+%.qhub%-part$", part:path())
    assert.equal(0, part:size())
    assert.is_true(part:append("hello "))
    assert.is_true(part:append(""))
    assert.is_true(part:append("wor\0ld"))
    assert.equal(12, part:size())
    assert.same({ part:path():match("[^/]+$") }, list())
    assert.equal("hello wor\0ld", read(list()[1]))
    part:discard()
  end)

  it("becomes the target when it is committed", function()
    local part = assert(partfile.create(directory .. "a"))
    part:append("content")
    assert.is_true(part:commit())
    assert.same({ "a" }, list())
    assert.equal("content", read("a"))
    assert.equal(7, part:size())
  end)

  it("has a new name each time", function()
    local one = assert(partfile.create(directory .. "a"))
    local two = assert(partfile.create(directory .. "a"))
    assert.not_equal(one:path(), two:path())
    assert.is_true(one:commit())
    assert.is_true(two:commit())
    assert.same({ "a" }, list())
  end)

  it("gets the permissions that the umask leaves #process", function()
    for _, open in ipairs({ "create", "resume" }) do
      run_child(("assert(partfile.%s(directory .. 'a')):commit()"):format(open), "umask 027;")
      assert.matches("^%-rw%-r%-%-%-%-%-", shell(("ls -l '%sa'"):format(directory)))
      shell(("rm '%sa'"):format(directory))
    end
  end)

  it("is private while it grows, also one that replaces a file", function()
    for _, name in ipairs({ "a", "old" }) do
      shell(("touch '%sold'; chmod 644 '%sold'"):format(directory, directory))
      for _, open in ipairs({ partfile.create, partfile.resume }) do
        local part = assert(open(directory .. name))
        assert.equal("600\n", shell(("stat -c %%a '%s'"):format(part:path())))
        part:close()
      end
    end
  end)

  it("works for names of any length and alphabet that the file system allows", function()
    for _, name in ipairs({
      ("x"):rep(255),
      ("\u{e4}"):rep(127),
      ("x\u{20ac}"):rep(63),
      " ",
      "-rf",
      "a'b\nc",
      "%s%n",
      "...",
    }) do
      local part = assert(partfile.create(directory .. name))
      assert.truthy(utf8.len(part:path()))
      assert.is_true(part:append(name))
      assert.is_true(part:commit())
      assert.equal(name, read(name))
    end
  end)

  it("fails with path, reason and errno name when it cannot be created", function()
    local cases = {
      { directory .. "missing/a", "ENOENT" },
      { write("file", "") .. "/a", "ENOTDIR" },
      { directory, "EISDIR" },
      { directory .. ".", "EISDIR" },
      { directory .. "..", "EISDIR" },
      { "", "EISDIR" },
      { directory .. "a\0b", "EINVAL" },
      { directory .. ("x"):rep(5000) .. "/a", "ENAMETOOLONG" },
    }
    for _, case in ipairs(cases) do
      for _, open in ipairs({ partfile.create, partfile.resume }) do
        local part, message, name = open(case[1])
        assert.is_nil(part)
        assert.equal(case[2], name)
        if not case[1]:find("\0") then
          assert.equal(case[1] .. ": ", message:sub(1, #case[1] + 2))
        end
      end
    end
    assert.same({ "file" }, list())
  end)
end)

describe("an abandoned part", function()
  it("is removed when it is collected", function()
    partfile.create(directory .. "a"):append("x")
    assert.equal(1, #list())
    collectgarbage()
    collectgarbage()
    assert.same({}, list())
  end)

  it("is removed when its scope ends in an error", function()
    pcall(function()
      local part <close> = assert(partfile.create(directory .. "a"))
      part:append("x")
      error("broken")
    end)
    assert.same({}, list())
  end)

  it("is removed by discard, which can be repeated", function()
    local part = assert(partfile.create(directory .. "a"))
    part:discard()
    part:discard()
    part:close()
    assert.same({}, list())
  end)

  it("stays when it was kept, until it is discarded", function()
    do
      local part <close> = assert(partfile.resume(directory .. "a")):keep()
      part:append("x")
    end
    assert.same({ ".a.qhub-part" }, list())
    local part = assert(partfile.resume(directory .. "a")):keep()
    part:discard()
    assert.same({}, list())
  end)

  it("does not remove a file that another program put in its place", function()
    local part = assert(partfile.create(directory .. "a"))
    local name = list()[1]
    os.remove(part:path())
    write(name, "mine")
    part:discard()
    assert.equal("mine", read(name))
  end)
end)

describe("the part of a process that was killed", function()
  local KILLED = [[
    local part = assert(partfile.create(directory .. "a"))
    assert(part:append("half"))
    io.popen("kill -TERM $PPID"):close()
    io.read("a")
  ]]

  it("is removed by the next download of the same file #process", function()
    run_child(KILLED)
    local name = list()[1]
    assert.equal("half", read(name))
    run_child(KILLED)
    assert.same({ name }, list())
    local part = assert(partfile.create(directory .. "a"))
    assert.equal(0, part:size())
    assert(part:append("whole"))
    assert(part:commit())
    assert.same({ "a" }, list())
    assert.equal("whole", read("a"))
  end)

  it("is left alone by a resumable download, and by one of another file #process", function()
    run_child(KILLED)
    assert(partfile.create(directory .. "b")):discard()
    assert(partfile.resume(directory .. "a")):discard()
    assert.equal("half", read(list()[1]))
  end)
end)

describe("an existing file with the name of a new part", function()
  local function name_of_part()
    local part = assert(partfile.create(directory .. "a"))
    local path = part:path()
    part:discard()
    return path
  end

  it("is left alone while another download writes it", function()
    local one = assert(partfile.create(directory .. "a"))
    assert(one:append("one"))
    local two = assert(partfile.create(directory .. "a"))
    assert(two:append("two"))
    assert(one:commit())
    assert.equal("one", read("a"))
    assert(two:commit())
    assert.equal("two", read("a"))
  end)

  it("is neither followed nor waited for when it is not a regular file", function()
    local path = name_of_part()
    local victim = write("victim", "precious")
    for _, command in ipairs({ "ln -s '" .. victim .. "' ", "mkfifo ", "mkdir " }) do
      shell(("%s '%s'"):format(command, path))
      local part = assert(partfile.create(directory .. "a"))
      assert.not_equal(path, part:path())
      assert(part:append("new"))
      assert(part:commit())
      assert.equal("new", read("a"))
      shell(("rm -r '%s'"):format(path))
    end
    assert.equal("precious", read("victim"))
    assert.same({ "a", "victim" }, list())
  end)
end)

describe("a closed part", function()
  it("stays closed, and reports it", function()
    local methods = { "append", "truncate", "commit", "keep", "path" }
    for _, finish in ipairs({ "close", "discard", "commit" }) do
      local part = assert(partfile.create(directory .. "a"))
      part[finish](part)
      assert.equal("qhub.PartFile (closed)", tostring(part))
      for _, method in ipairs(methods) do
        assert.error_matches(function()
          part[method](part, "x")
        end, "closed part file")
      end
      part:close()
      part:discard()
    end
  end)
end)

describe("resume", function()
  it("finds the bytes that an earlier part kept", function()
    local part = assert(partfile.resume(directory .. "a"))
    assert.equal(0, part:size())
    part:append("hello ")
    part:keep():close()
    part = assert(partfile.resume(directory .. "a"))
    assert.equal(6, part:size())
    part:append("world")
    assert.is_true(part:commit())
    assert.same({ "a" }, list())
    assert.equal("hello world", read("a"))
  end)

  it("finds the right part under long names that differ only at the end", function()
    local one = directory .. ("x"):rep(200) .. "1"
    local two = directory .. ("x"):rep(200) .. "2"
    local part = assert(partfile.resume(one))
    part:append("one")
    part:keep():close()
    part = assert(partfile.resume(two))
    assert.equal(0, part:size())
    part:discard()
    part = assert(partfile.resume(one))
    assert.equal(3, part:size())
  end)

  it("locks a part against a second writer in this process", function()
    local part = assert(partfile.resume(directory .. "a"))
    local other, message, name = partfile.resume(directory .. "a")
    assert.is_nil(other)
    assert.equal(directory .. "a: another download is writing it", message)
    assert.equal("EAGAIN", name)
    part:append("x")
    part:keep():close()
    assert.equal(1, assert(partfile.resume(directory .. "a")):size())
  end)

  it("locks a part against a second writer in another process #process", function()
    local part = assert(partfile.resume(directory .. "a"))
    part:append("x")
    local code = "local a, _, name = partfile.resume(directory .. 'a') print(name or a:size())"
    assert.equal("EAGAIN\n", run_child(code))
    assert.equal("x", read(".a.qhub-part"))
    part:keep():close()
    assert.equal("1\n", run_child(code))
  end)

  it("starts over after the part became the target", function()
    local part = assert(partfile.resume(directory .. "a"))
    part:append("old")
    part:commit()
    part = assert(partfile.resume(directory .. "a"))
    assert.equal(0, part:size())
    assert.equal("old", read("a"))
  end)

  it("follows no symbolic link", function()
    local victim = write("victim", "precious")
    shell(("ln -s '%s' '%s.a.qhub-part'"):format(victim, directory))
    local part, message, name = partfile.resume(directory .. "a")
    assert.is_nil(part)
    assert.matches("symbolic link", message)
    assert.equal("ELOOP", name)
    assert.equal("precious", read("victim"))
  end)

  it("does not write to a file that has another name as well", function()
    local victim = write("victim", "precious")
    shell(("ln '%s' '%s.a.qhub-part'"):format(victim, directory))
    local part = assert(partfile.resume(directory .. "a"))
    assert.equal(0, part:size())
    part:append("x")
    part:discard()
    assert.equal("precious", read("victim"))
    assert.same({ "victim" }, list())
  end)

  it("refuses anything but a regular file, without waiting for it", function()
    shell(("mkfifo '%s.a.qhub-part'; mkdir '%s.b.qhub-part'"):format(directory, directory))
    local part, message, name = partfile.resume(directory .. "a")
    assert.is_nil(part)
    assert.matches("not a regular file", message)
    assert.equal("EINVAL", name)
    assert.equal("EISDIR", select(3, partfile.resume(directory .. "b")))
    assert.equal(2, #list())
  end)
end)

describe("truncate", function()
  it("cuts the part, to nothing when no size is given", function()
    local part = assert(partfile.create(directory .. "a"))
    part:append("12345")
    assert.is_true(part:truncate(3))
    assert.is_true(part:append("x"))
    assert.equal(4, part:size())
    assert.equal("123x", read(list()[1]))
    assert.is_true(part:truncate(0))
    assert.is_true(part:append("new"))
    part:commit()
    assert.equal("new", read("a"))
  end)

  it("refuses sizes beyond the part", function()
    local part = assert(partfile.create(directory .. "a"))
    part:append("12345")
    for _, size in ipairs({ 6, -1, 2.5, "x" }) do
      assert.error_matches(function()
        part:truncate(size)
      end, "bad argument #1 to 'truncate'")
    end
  end)
end)

describe("commit", function()
  it("replaces an existing target", function()
    write("a", "old")
    local part = assert(partfile.create(directory .. "a"))
    part:append("new")
    assert.equal("old", read("a"))
    assert.is_true(part:commit(true))
    assert.equal("new", read("a"))
  end)

  it("leaves an existing target alone when asked to, and the part open", function()
    write("a", "old")
    local part = assert(partfile.create(directory .. "a"))
    part:append("new")
    local ok, message, name = part:commit(false)
    assert.is_nil(ok)
    assert.equal(directory .. "a: ", message:sub(1, #directory + 3))
    assert.equal("EEXIST", name)
    assert.equal("old", read("a"))
    assert.equal(2, #list())
    assert.is_true(part:append("er"))
    os.remove(directory .. "a")
    assert.is_true(part:commit(false))
    assert.equal("newer", read("a"))
    assert.same({ "a" }, list())
  end)

  it("counts a broken symbolic link as existing", function()
    shell(("ln -s nowhere '%sa'"):format(directory))
    local part = assert(partfile.create(directory .. "a"))
    assert.equal("EEXIST", select(3, part:commit(false)))
    assert.equal("link", partfile.kind(directory .. "a"))
  end)

  it("replaces a symbolic link and not what it points to", function()
    write("victim", "precious")
    shell(("ln -s victim '%sa'"):format(directory))
    local part = assert(partfile.create(directory .. "a"))
    part:append("new")
    assert.is_true(part:commit())
    assert.equal("precious", read("victim"))
    assert.equal("new", read("a"))
  end)

  it("fails when the target is a directory, and leaves nothing", function()
    shell(("mkdir '%sa'"):format(directory))
    local part = assert(partfile.create(directory .. "a"))
    assert.equal("EISDIR", select(3, part:commit()))
    part:discard()
    assert.same({ "a" }, list())
  end)

  it("fails when the part was moved or removed", function()
    local part = assert(partfile.create(directory .. "a"))
    os.rename(part:path(), directory .. "elsewhere")
    local ok, message, name = part:commit()
    assert.is_nil(ok)
    assert.matches("moved or removed", message)
    assert.equal("ESTALE", name)
    part:discard()
    assert.same({ "elsewhere" }, list())
  end)
end)

describe("a killed process #process", function()
  it("leaves the old target until the commit, and the part to be resumed", function()
    write("a", "old")
    run_child([[
      local part = assert(partfile.resume(directory .. "a"))
      part:append("new")
      os.execute("kill -9 $PPID")
    ]])
    assert.equal("old", read("a"))
    local part = assert(partfile.resume(directory .. "a"))
    assert.equal(3, part:size())
    part:discard()
  end)

  it("leaves the new target after the commit", function()
    write("a", "old")
    run_child([[
      local part = assert(partfile.create(directory .. "a"))
      part:append("new")
      part:commit()
      os.execute("kill -9 $PPID")
    ]])
    assert.equal("new", read("a"))
    assert.same({ "a" }, list())
  end)
end)

describe("a failed write #process", function()
  it("is reported, counts what was written, and does not end the process", function()
    local output = run_child(
      [[
      local part = assert(partfile.create(directory .. "a"))
      local ok, message, name = part:append(("x"):rep(100000))
      local path = part:path()
      print(ok, name, message:sub(1, #path) == path, part:size() % 512, part:size() < 100000)
      print(select(3, part:append("x")), select(3, part:check()))
      print(select(3, partfile.write_atomic(directory .. "b", ("x"):rep(100000))))
      ]],
      "ulimit -f 2; export GCOV_PREFIX=/dev/null;"
    )
    output = output:gsub("profiling:[^\n]*\n", "") -- counters of coverage, which go nowhere
    assert.equal("nil\tEFBIG\ttrue\t0\ttrue\nEFBIG\tEFBIG\nEFBIG\n", output)
    assert.same({}, list())
  end)
end)

describe("the helpers", function()
  it("say what has a name", function()
    write("file", "x")
    shell(("cd '%s' && ln -s . link && ln -s none broken && mkfifo pipe"):format(directory))
    assert.equal("directory", partfile.kind(directory))
    assert.equal("directory", partfile.kind(directory .. "link"))
    assert.equal("file", partfile.kind(directory .. "file"))
    assert.equal("special", partfile.kind(directory .. "pipe"))
    assert.equal("link", partfile.kind(directory .. "broken"))
    for _, name in ipairs { "none", "\0", "file\0" } do
      assert.is_nil((partfile.kind(directory .. name)))
    end
  end)

  it("replace a small file atomically and read it back", function()
    local path = directory .. "side.json"
    assert.is_true(partfile.write_atomic(path, "{}"))
    assert.equal("{}", system.read_file(path))
    assert.is_true(partfile.write_atomic(path, "a\0b"))
    assert.equal("a\0b", system.read_file(path, 3))
    assert.equal("EFBIG", select(3, system.read_file(path, 2)))
    assert.same({ "side.json" }, list())
    assert.equal("ENOENT", select(3, partfile.write_atomic(directory .. "none/x", "")))
    shell(("mkdir '%sdir'"):format(directory))
    assert.equal("EISDIR", select(3, partfile.write_atomic(directory .. "dir", "")))
    assert.same({ "dir", "side.json" }, list())
  end)

  it("keep the permissions of a file that is replaced", function()
    local path = write("private", "old")
    shell(("chmod 600 '%s'"):format(path))
    assert.is_true(partfile.write_atomic(path, "new"))
    assert.equal("600\n", shell(("stat -c %%a '%s'"):format(path)))
    assert.equal("new", read("private"))
  end)

  it("read regular files only, and follow no link", function()
    write("file", "x")
    shell(("ln -s file '%slink'; mkfifo '%spipe'"):format(directory, directory))
    assert.equal("ELOOP", select(3, system.read_file(directory .. "link", nil, false)))
    assert.equal("EINVAL", select(3, system.read_file(directory .. "pipe", nil, false)))
    assert.equal("EISDIR", select(3, system.read_file(directory, nil, false)))
    assert.equal("ENOENT", select(3, system.read_file(directory .. "none", nil, false)))
  end)

  it("remove a file, and succeed when there is none", function()
    write("file", "x")
    assert.is_true(partfile.remove(directory .. "file"))
    assert.is_true(partfile.remove(directory .. "file"))
    local ok, message, name = partfile.remove(write("file", "x") .. "/x")
    assert.is_nil(ok)
    assert.matches("/file/x: ", message, 1, true)
    assert.equal("ENOTDIR", name)
  end)
end)
