-- Starts a run and shows its log as it is written.
--
--   scripts/with_gateway.sh lua5.4 examples/follow.lua              against the bundled simulator
--   QHUB_BASE_URL=… QHUB_TOKEN=… lua5.4 examples/follow.lua [ID]    against the real gateway
--
-- With the id of an execution it follows that one, which may have ended, and starts nothing.

local qhub = require "qhub"

local base_url, token = os.getenv "QHUB_BASE_URL", os.getenv "QHUB_TOKEN"
if not base_url or not token then
  io.stderr:write "set QHUB_BASE_URL and QHUB_TOKEN, or use scripts/with_gateway.sh\n"
  return os.exit(2)
end

local is_coloured = os.execute "test -t 1"
  and os.getenv "TERM" ~= "dumb"
  and not os.getenv "NO_COLOR"
local function style(code, text)
  return is_coloured and "\27[" .. code .. "m" .. text .. "\27[0m" or text
end
local COLOURS = {
  DEBUG = "2",
  INFO = "36",
  NOTICE = "1;34",
  WARNING = "1;33",
  ERROR = "1;31",
  SUCCEEDED = "1;32",
  FAILED = "1;31",
  CANCELLED = "1;33",
}

local service <close> = qhub.HubServiceClient { base_url = base_url, token = token }
local execution = arg[1] and service:execution(arg[1])
  or assert(
    service:start_execution(
      { input = { molecule = "LiH", basis = "sto-3g", shots = 4096 } },
      { tags = { "follow" } }
    )
  )
print(style("1", execution.id))

-- Each entry once, until the run has ended, through all failures of the network.
local first
for entry in assert(execution:follow_logs { interval = 0.5 }) do
  local at = entry.timestamp and qhub.parse_timestamp(entry.timestamp)
  first = first or at
  local elapsed = at and first and ("%8.3f s"):format(at - first) or (" "):rep(10)
  local severity = entry.severity or ""
  local label = style(COLOURS[severity] or "0", ("%-7s"):format(severity))
  -- A log is foreign text: it must not steer the terminal.
  local message = tostring(entry.message):gsub("%c", " ")
  print(("%s  %s  %s"):format(style("2", elapsed), label, message))
  io.flush()
end
print(style(COLOURS[execution.status] or "0", execution.status))
os.exit(execution.status == "SUCCEEDED" and 0 or 1, true)
