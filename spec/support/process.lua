-- A child process that announces itself with a line "READY ...", for specs.
--
-- Responsible for: starting it, reading that line, ending it, waiting for it.
-- Assumes a POSIX shell. It must not load anything of qhub.

local Process = {}
Process.__index = Process

local process = {}

--- What runs the servers.
process.SERVER_LUA = "lua5.4"

local function words_of(text)
  local words = {}
  for word in text:gmatch "%S+" do
    words[#words + 1] = word
  end
  return words
end

-- Starts `command` (shell words). Returns an object with `pid` and `words`, what followed READY;
-- raises when the process ends before it is ready.
function process.start(command)
  local pipe = assert(io.popen("echo $$; exec " .. command))
  local pid = pipe:read "n"
  pipe:read "l"
  local line = pipe:read "l" or ""
  local rest = line:match "^READY%s*(.*)$"
  if not rest then
    pipe:close()
    error("the process did not start: " .. command .. ": " .. line, 2)
  end
  return setmetatable({ pipe = pipe, pid = pid, words = words_of(rest) }, Process)
end

-- Starts a server, a Lua program that ends at the end of its standard input: that is a pipe from
-- this process, so that the server ends with it, however it ends. `words` are the program's.
function process.server(program, words)
  local fifo = os.tmpname()
  os.remove(fifo)
  assert(os.execute("mkfifo -m 600 " .. fifo))
  -- A sanitizer that is preloaded into this process would only slow down the child.
  local form = "LD_PRELOAD= exec %s %s %s >%s"
  local input = assert(io.popen(form:format(process.SERVER_LUA, program, words, fifo), "w"))
  local output <close> = assert(io.open(fifo))
  local line = output:read "l" or ""
  os.remove(fifo)
  local rest = line:match "^READY%s*(.*)$"
  if not rest then
    input:close()
    error(("%s did not start: %s"):format(program, line), 2)
  end
  return setmetatable({ pipe = input, words = words_of(rest) }, Process)
end

-- Makes a folder with cert.pem and key.pem for this machine, signed by nobody, and both.pem.
-- Returns its path.
function process.certificate()
  local folder = os.tmpname()
  os.remove(folder)
  local form = "mkdir -m 755 '%s' && cd '%s' && LD_PRELOAD= openssl req -x509 -newkey ec"
    .. " -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost -addext"
    .. " subjectAltName=DNS:localhost,IP:127.0.0.1 -keyout key.pem -out cert.pem 2>/dev/null"
    .. " && cat cert.pem key.pem >both.pem"
  assert(os.execute(form:format(folder, folder)))
  return folder
end

-- Runs a Lua program in an interpreter of its own, with this one's paths, to its end. `environment`
-- has further words for env(1). Returns what the program wrote, and whether it ended well.
function process.run_program(text, environment)
  local path = os.tmpname()
  local file = assert(io.open(path, "w"))
  file:write(text)
  file:close()
  local form = "env LUA_PATH='%s' LUA_CPATH='%s' %s lua5.4 %s 2>&1"
  local pipe = assert(io.popen(form:format(package.path, package.cpath, environment or "", path)))
  local output, ok = pipe:read "a", pipe:close()
  os.remove(path)
  return output, ok == true
end

-- Sends a signal ("TERM", "STOP", "CONT", "INT" ...).
function Process:signal(name)
  os.execute(("kill -%s %d 2>/dev/null"):format(name, self.pid))
end

-- Waits until the process has ended; returns what it still wrote, and what io.close tells of it.
function Process:wait()
  local pipe = self.pipe
  if not pipe then return end
  self.pipe = nil
  local output = pipe:read "a"
  return output, pipe:close()
end

-- Ends the process. Idempotent.
function Process:close()
  if self.pipe and self.pid then
    self:signal "TERM"
    self:wait()
  elseif self.pipe then
    self.pipe:close()
    self.pipe = nil
  end
end

Process.__close = Process.close
Process.__gc = Process.close

return process
