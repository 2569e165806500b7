-- Saving a large result file: with a progress bar, resumed after an interruption.
--
--   scripts/with_gateway.sh lua5.4 examples/download.lua      against the bundled gateway simulator
--   QHUB_BASE_URL=… QHUB_TOKEN=… lua5.4 examples/download.lua EXECUTION FILE [FOLDER]
--                                                             against the real gateway
--
-- Starts a download, ends it halfway as Ctrl-C or a crash would, and calls the same again with
-- `resume = true`: what is on the disk is kept, when the gateway confirms that the file is still
-- the same. The copy is then compared with the SHA-256 in the run's own list of checksums.

local qhub = require "qhub"

local base_url, token = os.getenv "QHUB_BASE_URL", os.getenv "QHUB_TOKEN"
if not base_url or not token then
  io.stderr:write "set QHUB_BASE_URL and QHUB_TOKEN, or see the first lines of this file\n"
  return os.exit(2)
end
local id, name, folder = arg[1], arg[2] or "result.bin", arg[3] or "."
local service <close> = qhub.HubServiceClient { base_url = base_url, token = token }

-- Without an execution to fetch from, a new one is run. `simulate` is for the simulator alone.
local execution
if id then
  execution = service:execution(id)
else
  execution = assert(service:start_execution {
    input = { molecule = "H2" },
    simulate = {
      pending_ms = 0,
      running_ms = 500,
      files = { [name] = 64 << 20, SHA256SUMS = true },
    },
  })
  assert(execution:wait { interval = 0.2, progress = qhub.progress })
  folder = os.tmpname()
  os.remove(folder)
  assert(os.execute("mkdir -m 700 " .. folder))
end

-- 1. The first attempt, with a progress function of one's own. What it raises ends the download, as
--    any other error would.
local INTERRUPTION = {}
local ok, reason = pcall(execution.download, execution, name, folder .. "/", {
  resume = true,
  progress = function(received, size)
    if size and received > size // 2 then
      print(("interrupted after %d of %d bytes"):format(received, size))
      error(INTERRUPTION)
    end
  end,
})
assert(not ok and reason == INTERRUPTION, reason)
print "in the folder is only a part, under a name of its own, and what it is a part of:"
os.execute("ls -As " .. folder)

-- 2. The same call again. It asks for the rest; the bar begins where the first one ended.
print "the same call again, with the bar of qhub.progress:"
local path = assert(execution:download(name, folder .. "/", {
  resume = true,
  progress = qhub.progress,
}))
print("saved as " .. path)

-- 3. Is it the file?
local sums = execution:result_file "SHA256SUMS"
local expected ---@type string?
for line in (sums and assert(sums:read_all()) or ""):gmatch "[^\n]+" do
  local sum, of = line:match "^(%x+)  (.*)$"
  expected = of == name and sum or expected
end
local found_digest, digest = pcall(require, "openssl.digest") -- Debian: lua-luaossl
if expected and found_digest then
  local sha256 = digest.new "sha256"
  for block in io.lines(path, 1 << 20) do
    sha256:update(block)
  end
  local actual = sha256:final():gsub(".", function(byte)
    return ("%02x"):format(byte:byte())
  end)
  assert(actual == expected, "the copy on disk differs from what the gateway has")
  print("SHA-256 verified: " .. actual)
end
if not id then
  os.remove(path)
  os.remove(folder)
end
