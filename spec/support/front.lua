-- A program of others that listens on a port of this machine: a server or a proxy before a gateway.
--
-- Responsible for: a free port, a folder with a certificate and a configuration, starting the
-- program without root and ending it with this process. Must not load anything of qhub.

local cqueues = require "cqueues"
local cqueues_socket = require "cqueues.socket"
local process = require "spec.support.process"

local PATIENCE = 15 -- seconds until the program listens

local front = {}

local Front = {}
Front.__index = Front

-- A port that is free now. Somebody else may take it before the program does.
function front.free_port()
  local socket = cqueues_socket.listen { host = "127.0.0.1", port = 0 }
  assert(socket:listen())
  local _, _, port = socket:localname()
  socket:close()
  return port
end

local function is_listening(port)
  local socket = cqueues_socket.connect { host = "127.0.0.1", port = port }
  socket:onerror(function(_, _, why)
    return why
  end)
  local connected = socket:connect(1)
  socket:close()
  return connected
end

-- The program need not watch its standard input, so a shell does: it ends the program when the pipe
-- from this process is closed, which the kernel sees to when this process dies, and tidies up.
local COMMAND = [[exec 3<&0; cd '%s' || exit
(LD_PRELOAD=; %s) >log 2>&1 </dev/null 3<&- & echo $! >pid
{ read -r _ <&3; kill $!; wait $!; rm -rf "$PWD"; } 2>/dev/null]]

-- Starts a program. `config` is the text of its file `config`, `run` what a shell has to do (to
-- `exec` at last); in both stand $P for its port, $T for its folder, and what `words` has. Returns
-- an object with port, folder (with cert.pem, key.pem, both.pem), ca_file and stop(), or nil and
-- what the program wrote.
function front.start(config, run, words)
  local folder, port = process.certificate(), front.free_port()
  local known = setmetatable({ P = port, T = folder }, { __index = words })
  local file <close> = assert(io.open(folder .. "/config", "w"))
  file:write((config:gsub("%$(%u)%f[%W]", known)))
  file:close()
  local input = assert(io.popen(COMMAND:format(folder, run:gsub("%$(%u)%f[%W]", known)), "w"))
  local self = setmetatable({ input = input, port = port, folder = folder }, Front)
  self.ca_file = folder .. "/cert.pem"
  local deadline = cqueues.monotime() + PATIENCE
  repeat
    if is_listening(port) then return self end
    cqueues.poll(0.01)
  until cqueues.monotime() > deadline
  local log <close> = io.open(folder .. "/log")
  local text = log and log:read "a"
  self:stop()
  return nil, text
end

-- Ends the program and removes its folder.
function Front:stop()
  if self.input then
    self.input:close()
    self.input = nil
  end
end

-- Kills it, as a machine that fails does.
function Front:kill()
  os.execute(("kill -KILL $(cat '%s/pid')"):format(self.folder))
end

Front.__close = Front.stop
Front.__gc = Front.stop

return front
