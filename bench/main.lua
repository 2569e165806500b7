-- `make bench`: measures qhub beside other clients and holds it against its goals.
--
--   bench/main.lua [NAME...]        NAME: see ORDER at the end; all of them without
--   bench/main.lua counts           instructions only, by callgrind; fails when a goal is missed
--
-- Assumes build/bench/measure and build/bench/libcurl, and a qhub that `require` finds; see
-- scripts/bench.sh.

local contenders = require "bench.contenders"
local report = require "bench.report"
local runner = require "bench.runner"
local server = require "bench.server"

local MIB = 1 << 20
local SIZES = { ["1MiB"] = MIB, ["100MiB"] = 100 * MIB, ["1GiB"] = 1024 * MIB }

local function find(list, name)
  for _, contender in ipairs(list) do
    if contender.name == name then return contender end
  end
end

local function range(contender, name, scale, format)
  local least, greatest = contender.least[name] * scale, contender.greatest[name] * scale
  return (format .. "–" .. format):format(least, greatest)
end

-- Median and spread of one figure of each contender, and the ratio to the first one.
local function table_of(list, name, unit, scale, format)
  local rows, bars = {}, {}
  local base = list[1].median[name]
  for i, contender in ipairs(list) do
    local median = contender.median[name]
    bars[i] = { contender.name, median * scale }
    rows[i] = {
      contender.name,
      format:format(median * scale),
      range(contender, name, scale, format),
      ("%.2f"):format(median / base),
    }
  end
  report.table({ "", unit, "spread", "ratio" }, rows)
  return bars
end

local measurements = {}

-- CPU time of one request: the difference of two runs, since each begins with reading its program.
local FEW, MANY = 50, 4050
local function take_requests(list)
  runner.take_turns(list, 9, function(contender)
    local many = FEW + (MANY - FEW) * (contender.share or 1) // 1
    local short = runner.run(contender.command .. (" %d"):format(FEW))
    local long = runner.run(contender.command .. (" %d"):format(many))
    return { cpu = (long.cpu - short.cpu) / (many - FEW), peak = long.peak }
  end)
end

-- The same in instructions, which no other program disturbs. Returns the ratio to the first
-- contender, and that of Lua-cURL, if it is there.
local function count_requests(list)
  local rows = {}
  for _, contender in ipairs(list) do
    if contender.counted then
      local short = runner.instructions(contender.command .. " 100")
      local long = runner.instructions(contender.command .. " 300")
      contender.instructions = (long - short) / 200
      rows[#rows + 1] = {
        contender.name,
        ("%.0f"):format(contender.instructions),
        ("%.2f"):format(contender.instructions / list[1].instructions),
      }
    end
  end
  report.table({ "", "instructions a request", "ratio" }, rows)
  local luacurl = find(list, "Lua-cURL")
  return find(list, "qhub").instructions / list[1].instructions,
    luacurl and luacurl.instructions / list[1].instructions
end

local function count_status(site)
  local ratio, peer = count_requests(contenders.status(site))
  report.goal("status: instructions / libcurl easy", ratio, "<=", 1.35)
  if peer then report.goal("status: the same, beside Lua-cURL's", ratio, "<", peer) end
end

local function count_start(site)
  local ratio = count_requests(contenders.start(site))
  report.goal("start of 1 KB: instructions / libcurl easy", ratio, "<=", 1.7) -- not to get worse
end

-- Both for one request after the other. Returns the bars of a panel.
local function measure_requests(site, list, name, most, count)
  take_requests(list)
  local bars = table_of(list, "cpu", "CPU µs a request", 1e6, "%.1f")
  local easy, qhub = find(list, "libcurl easy"), find(list, "qhub")
  report.goal(name .. ": CPU time / libcurl easy", qhub.median.cpu / easy.median.cpu, "<=", most)
  if contenders.has.valgrind then
    print()
    count(site)
  end
  return bars
end

function measurements.status(site)
  report.heading "A status call on a kept connection"
  local bars = measure_requests(site, contenders.status(site), "status", 1.1, count_status)
  report.panel("CPU time of a status call, µs", bars)
end

function measurements.start(site)
  report.heading "A start with a body of 1,000 bytes on a kept connection"
  measure_requests(site, contenders.start(site), "start of 1 KB", 1.25, count_start)
  report.heading "Ten starts with 4.8 MB of doubles, encoded from a table"
  local list = contenders.upload(site)
  runner.take_turns(list, 5, function(contender)
    return runner.run(contender.command)
  end)
  table_of(list, "cpu", "CPU ms", 1e3, "%.0f")
  local peer = find(list, "Lua-cURL")
  if peer then
    local ratio = find(list, "qhub").median.cpu / peer.median.cpu
    report.goal("start of 4.8 MB: CPU time / Lua-cURL", ratio, "<=", 0.6)
  end
end

local function count_execution()
  local function count(contender)
    local command = contenders.execution(contender)
    return (runner.instructions(command .. " 1100") - runner.instructions(command .. " 100")) / 1000
  end
  local rows = { { "qhub", ("%.0f"):format(count "qhub") } }
  if contenders.has.cjson then rows[2] = { "lua-cjson", ("%.0f"):format(count "cjson") } end
  report.table({ "", "instructions to decode an execution" }, rows)
  report.goal("an execution decoded: instructions", tonumber(rows[1][2]), "<=", 28000)
end

-- Bodies of 10 MB: speed compared with lua-cjson.
function measurements.json()
  local wanted = {
    doubles = { encode = 2, decode = 0.75 },
    mixed = { encode = 2, decode = 1 },
  }
  for _, which in ipairs { "doubles", "mixed" } do
    for _, what in ipairs { "encode", "decode" } do
      report.heading(("JSON: %s 10 MB, %s"):format(what, which))
      local list = contenders.json(what, which)
      runner.take_turns(list, 5, function(contender)
        local run = runner.run(contender.command)
        local seconds, bytes, wrong = run.output:match "^([%d.]+) (%d+) (%d+)\n$"
        contender.wrong = tonumber(wrong)
        return { seconds = tonumber(seconds), bytes = tonumber(bytes), peak = run.peak }
      end)
      local rows = {}
      for i, contender in ipairs(list) do
        rows[i] = {
          contender.name,
          ("%.1f"):format(contender.median.seconds * 1e3),
          range(contender, "seconds", 1e3, "%.1f"),
          ("%.0f"):format(contender.median.bytes / 1e6 / contender.median.seconds),
          ("%d"):format(contender.wrong),
          ("%.0f"):format(contender.median.peak / 1024),
        }
      end
      report.table({ "", "CPU ms", "spread", "MB/s", "doubles changed", "peak MiB" }, rows)
      local qhub, cjson = find(list, "qhub"), find(list, "lua-cjson")
      local title = what .. " " .. which
      report.goal(title .. ": doubles changed", qhub.wrong, "<=", 0)
      if cjson then
        local ratio = cjson.median.seconds / qhub.median.seconds
        report.goal(title .. ": speed / lua-cjson", ratio, ">=", wanted[which][what])
      end
    end
  end
  if contenders.has.valgrind then
    report.heading "JSON: an execution"
    count_execution()
  end
end

function measurements.file(site)
  local peaks = {}
  for _, name in ipairs { "1MiB", "100MiB", "1GiB" } do
    report.heading("A result file of " .. name .. ", chunk by chunk")
    local list = contenders.file(site)
    runner.take_turns(list, name == "1GiB" and 7 or 3, function(contender)
      return runner.run(contender.command(name))
    end)
    local rows, bars = {}, {}
    for i, contender in ipairs(list) do
      local cpu = contender.median.cpu
      bars[i] = { contender.name, cpu }
      rows[i] = {
        contender.name,
        ("%.0f"):format(cpu * 1e3),
        range(contender, "cpu", 1e3, "%.0f"),
        ("%.2f"):format(cpu / list[1].median.cpu),
        ("%.0f"):format(SIZES[name] / MIB / contender.median.wall),
        ("%.1f"):format(contender.median.peak / 1024),
      }
    end
    report.table({ "", "CPU ms", "spread", "ratio", "MiB/s", "peak MiB" }, rows)
    local qhub = find(list, "qhub")
    peaks[#peaks + 1] = qhub.greatest.peak / 1024
    if name == "1GiB" then
      report.panel("CPU time of 1 GiB as chunks, seconds", bars)
      report.goal("file: CPU time / libcurl easy", qhub.median.cpu / list[1].median.cpu, "<=", 1.1)
      local program = find(list, "curl")
      if program then
        local ratio = qhub.median.cpu / program.median.cpu
        report.goal("file: CPU time / the curl program", ratio, "<", 1)
      end
    end
  end
  report.goal("file: peak memory of any size, MiB", math.max(table.unpack(peaks)), "<", 16)
end

function measurements.save(site)
  report.heading "A result file of 1 GiB, saved"
  local list = contenders.save(site)
  runner.take_turns(list, 5, function(contender)
    local run = runner.run(contender.command)
    os.remove "build/bench/saved"
    return run
  end)
  table_of(list, "cpu", "CPU ms", 1e3, "%.0f")
  local program = find(list, "curl")
  if program then
    local ratio = list[1].median.cpu / program.median.cpu
    report.goal("download: CPU time / the curl program", ratio, "<=", 0.6)
  end
end

-- A file whose connection breaks again and again must still come byte for byte.
function measurements.breaks()
  report.heading "1 GiB over 20 broken connections, into sha256sum"
  local gateway <close> = require("spec.support.gateway").start { idle = 0 }
  local simulate = { pending_ms = 0, running_ms = 0, files = { f = 1024 * MIB } }
  local id = gateway:create(1, { simulate = simulate })[1]
  gateway:fault {
    match = { operation = "get_result_file" },
    times = 20,
    fault = { random_break = 50 * MIB },
  }
  local run = runner.run(contenders.pipe(gateway.url, id, "f"))
  local requests = gateway:count(nil, "/result/")
  print(("%d requests, %.2f s; CPU with sha256sum's %.2f s"):format(requests, run.wall, run.cpu))
  local same = run.output:match "^%x+" == gateway:file(id, "f").sha256
  report.goal("file with breaks: bytes differ", same and 0 or 1, "<=", 0)
end

-- Memory of a task: the slope between 1,000 and 10,000 of them, beyond that of the floor.
local ROUNDS = { [100] = 15, [1000] = 9, [10000] = 5, [100000] = 3 }
local function statuses(site, secure, title, counts)
  local peaks = {}
  for _, count in ipairs(counts) do
    report.heading(("%d statuses, %s"):format(count, title))
    local list = contenders.statuses(site, secure, count)
    runner.take_turns(list, ROUNDS[count], function(contender)
      return runner.run(contender.command(count))
    end)
    local rows, bars = {}, {}
    for i, contender in ipairs(list) do
      local median = contender.median
      bars[i] = { contender.name, median.cpu }
      peaks[contender.name] = peaks[contender.name] or {}
      peaks[contender.name][count] = median.peak
      rows[i] = {
        contender.name,
        ("%.1f"):format(median.cpu / count * 1e6),
        range(contender, "cpu", 1e6 / count, "%.1f"),
        ("%.2f"):format(median.cpu / list[1].median.cpu),
        ("%.2f"):format(median.wall),
        ("%.1f"):format(median.peak / 1024),
      }
    end
    report.table({ "", "CPU µs each", "spread", "ratio", "wall s", "peak MiB" }, rows)
    if count == 10000 and not secure then
      report.panel("CPU time of 10,000 statuses, 64 at a time, seconds", bars)
    end
    local ratio = find(list, "qhub").median.cpu / list[1].median.cpu
    report.goal(("%d statuses, %s: CPU / curl_multi"):format(count, title), ratio, "<=", 1.5)
  end
  local function slope(name)
    return (peaks[name][10000] - peaks[name][1000]) / 9000
  end
  local beyond = slope "qhub" - slope "libcurl multi"
  report.goal(("task, %s: KiB beyond curl_multi"):format(title), beyond, "<=", 2)
end

function measurements.statuses(site)
  statuses(site, false, "64 connections", { 100, 1000, 10000, 100000 })
  statuses(site, true, "HTTP/2", { 1000, 10000 })
end

local function count_first(site)
  local rows = {}
  for _, contender in ipairs(contenders.first(site)) do
    if contender.counted then
      local count = runner.instructions(contender.command) / 1e6
      rows[#rows + 1] = { contender.name, ("%.1f"):format(count) }
      if contender.name == "qhub" then
        report.goal("first answer: million instructions", count, "<=", 26)
      end
    end
  end
  report.table({ "", "million instructions" }, rows)
end

function measurements.first(site)
  report.heading "From the start of the program to the first answer"
  local list = contenders.first(site)
  runner.take_turns(list, 21, function(contender)
    return runner.run(contender.command)
  end)
  local bars = table_of(list, "wall", "wall ms", 1e3, "%.1f")
  print()
  table_of(list, "cpu", "CPU ms", 1e3, "%.1f")
  report.panel("From start to first answer, ms", bars)
  local qhub, curl, httpx = find(list, "qhub"), find(list, "curl"), find(list, "httpx")
  if curl then
    report.goal("first answer: wall / curl", qhub.median.wall / curl.median.wall, "<=", 1.5)
  end
  if httpx then
    report.goal("first answer: wall / httpx", qhub.median.wall / httpx.median.wall, "<", 0.1)
  end
  if contenders.has.valgrind then
    print()
    count_first(site)
  end
end

-- What needs no quiet machine: a check.
function measurements.counts(site)
  for _, count in ipairs { count_status, count_start, count_execution, count_first } do
    print()
    count(site)
  end
end

-- Each run takes one second in the simulator; what is beyond it is its and the client's time.
function measurements.scale()
  report.heading "Runs started, waited for, results read, against the simulator"
  local gateway <close> = require("spec.support.gateway").start { idle = 0, record = 1 }
  local rows = {}
  for _, count in ipairs { 100, 1000, 10000 } do
    for _, contender in ipairs(contenders.scale()) do
      local before = gateway:requests().total
      local run = runner.run(contender.command(gateway, count))
      local requests = gateway:requests().total - before
      rows[#rows + 1] = {
        contender.name,
        ("%d"):format(count),
        ("%d"):format(requests),
        ("%.2f"):format(requests / count),
        ("%.2f"):format(run.wall),
        ("%.2f"):format(run.cpu),
        ("%.1f"):format(run.peak / 1024),
      }
      gateway:forget()
    end
  end
  report.table({ "", "runs", "requests", "each", "wall s", "CPU s", "peak MiB" }, rows)
end

local ORDER = { "status", "start", "json", "file", "save", "breaks", "statuses", "first", "scale" }

local chosen = #arg > 0 and arg or ORDER
for _, name in ipairs(chosen) do
  if not measurements[name] then
    error("no benchmark '" .. name .. "': " .. table.concat(ORDER, " "), 0)
  end
end
if not server.available() then error("nginx is needed for the benchmarks", 0) end
contenders.tell_missing()
local site <close> = server.start(SIZES)
for _, name in ipairs(chosen) do
  measurements[name](site)
end
local is_met = report.print_goals()
if contenders.has.gnuplot and #report.panels > 0 then report.plot "build/bench/bench.svg" end
if chosen[1] == "counts" and not is_met then os.exit(1, true) end
