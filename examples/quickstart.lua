-- One execution from start to result file.
--
--   make demo                                         against the bundled gateway simulator
--   QHUB_BASE_URL=… QHUB_TOKEN=… lua5.4 examples/quickstart.lua     against the real gateway
--
-- Starts a run that estimates the ground state energy of H2, follows its status, reads its logs,
-- decodes its result, and streams a result file to disk. When the server tells the file's SHA-256,
-- the copy on disk is checked against it.

local qhub = require "qhub"

local base_url = os.getenv "QHUB_BASE_URL"
local token = os.getenv "QHUB_TOKEN"
if not base_url or not token then
  io.stderr:write "set QHUB_BASE_URL and QHUB_TOKEN, or run `make demo`\n"
  return os.exit(2)
end

local is_coloured = os.execute "test -t 1"
  and os.getenv "TERM" ~= "dumb"
  and not os.getenv "NO_COLOR"
local function style(code, text)
  return is_coloured and "\27[" .. code .. "m" .. text .. "\27[0m" or text
end
local function step(number, text)
  print(("\n%s %s"):format(style("1;36", ("[%d/5]"):format(number)), style("1", text)))
end

-- 1. A client for one deployed service. The token may also be a function that returns one.
step(1, "Start")
local service <close> = qhub.HubServiceClient { base_url = base_url, token = token }
print("      " .. tostring(service))
local execution = assert(
  service:start_execution(
    { input = { molecule = "H2", basis = "sto-3g", bond_length = 0.735, shots = 2048 } },
    { tags = { "quickstart" } }
  )
)
print("      execution " .. execution.id)

-- 2. Wait for its end; the callback sees every change of the status.
step(2, "Wait")
local colours = { PENDING = "33", RUNNING = "34", SUCCEEDED = "32", FAILED = "31" }
local started = os.time()
assert(execution:wait {
  interval = 1,
  on_status = function(run)
    local status = style(colours[run.status] or "0", run.status)
    print(("      %3d s  %s"):format(os.time() - started, status))
  end,
})

-- 3. What the run had to say.
step(3, "Logs")
for _, entry in ipairs(assert(execution:logs())) do
  local severity = ("%-7s"):format(entry.severity or "")
  print(("      %s  %s %s"):format(entry.timestamp or "", style("2", severity), entry.message))
end

-- 4. The result: the service's own members, beside `_embedded` and `_links`.
step(4, "Result")
local result = assert(execution:result())
if result.energy then
  print(("      energy %s"):format(style("1;32", ("%.6f hartree"):format(result.energy))))
end
local counts, states, total = result.counts or {}, {}, 0
for state, count in pairs(counts) do
  states[#states + 1], total = state, total + count
end
table.sort(states, function(a, b)
  return counts[a] > counts[b]
end)
for _, state in ipairs(states) do
  local share = counts[state] / total
  print(
    ("      |%s⟩ %5.1f %%  %s"):format(state, 100 * share, ("█"):rep(math.ceil(40 * share)))
  )
end

-- 5. The largest result file, chunk by chunk, straight to disk: memory stays constant.
step(5, "Result file")
local names = assert(execution:result_files())
print("      files: " .. table.concat(names, ", "))
local name = names[1]
for _, candidate in ipairs(names) do
  name = candidate:find "%.bin$" and candidate or name
end
if not name then
  print "      this service wrote no files"
  return
end

local path = os.tmpname()
local file = assert(execution:result_file(name))
local out <close> = assert(io.open(path, "wb"))
local bytes, chunks = 0, 0
for chunk in file do
  out:write(chunk)
  bytes, chunks = bytes + #chunk, chunks + 1
end
out:flush()
print(("      %s: %d bytes in %d chunks"):format(name, bytes, chunks))

local expected = file.headers["X-Checksum-Sha256"]
local found_digest, digest = pcall(require, "openssl.digest")
if expected and found_digest then
  local sha256 = digest.new "sha256"
  for block in io.lines(path, 1 << 20) do
    sha256:update(block)
  end
  local actual = sha256:final():gsub(".", function(byte)
    return ("%02x"):format(byte:byte())
  end)
  assert(actual == expected, "the copy on disk differs from what the server sent")
  print("      " .. style("32", "SHA-256 verified ") .. actual)
end
os.remove(path)
