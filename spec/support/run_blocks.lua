-- Runs the blocks of Lua in a page of documentation, each by itself, against a gateway.
--
--   lua5.4 spec/support/run_blocks.lua PAGE.md BASE_URL
--
-- Prints `ok LINE` or `not ok LINE MESSAGE` for each. Runs in a folder that may be written to.
--
-- The pages show fragments. What these take for granted is there: `qhub`, a client `service`, an
-- `execution` of it that has succeeded, a file `out`, a list `bond_lengths`; and busted's names,
-- which here run at once. A client of the real gateway gets the one given here instead.

local page, base_url = arg[1], arg[2]
local origin = base_url:match "^%a+://[^/]+"
local real = require "qhub"

local qhub = setmetatable({}, { __index = real })

function qhub.HubServiceClient(options)
  if not options.transport and options.base_url then options.base_url = base_url end
  return real.HubServiceClient(options)
end

qhub.credentials = setmetatable({
  client_credentials = function(options)
    options.token_endpoint = origin .. "/token"
    return real.credentials.client_credentials(options)
  end,
}, { __index = real.credentials })

local service = qhub.HubServiceClient { base_url = base_url, token = os.getenv "QHUB_TOKEN" }
local execution = assert(service:start_execution { input = { molecule = "H2" } })
assert(execution:wait { interval = 0.1 })
assert(execution:refresh())

local function nothing() end

-- The names that a block finds, beside those of Lua.
local function environment(is_spec)
  local names = {
    qhub = qhub,
    service = service,
    execution = execution,
    bond_lengths = { 0.6, 0.735 },
    out = assert(io.open("out.bin", "wb")),
    print = nothing,
    require = function(name)
      return name == "qhub" and qhub or require(name)
    end,
  }
  if is_spec then
    names.assert = require "luassert"
    names.describe = function(_, fn)
      fn()
    end
    names.it = names.describe
  end
  return setmetatable(names, { __index = _G })
end

-- Runs the block, and the clients' to-be-closed variables with it.
local function run(text, first)
  -- Line numbers as in the page.
  local fn, message =
    load(("\n"):rep(first - 1) .. text, "@" .. page, "t", environment(text:find "describe%("))
  if not fn then return false, message end
  local ok, err = xpcall(fn, function(err)
    return type(err) == "string" and debug.traceback(err, 2) or tostring(err)
  end)
  return ok, err
end

local number, first, block, failed = 0, nil, nil, false
for line in io.lines(page) do
  number = number + 1
  if block and line:find "^```" then
    local ok, message = run(table.concat(block, "\n"), first)
    failed = failed or not ok
    print(ok and "ok " .. first or "not ok " .. first .. " " .. message)
    block = nil
  elseif block then
    block[#block + 1] = line
  elseif line:find "^```lua" then
    block, first = {}, number + 1
  end
end
service:close()
os.exit(not failed, true)
