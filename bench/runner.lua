-- Runs contenders and sums up what they took.
--
-- Wall time says little on a machine that does other things as well. So each measurement is a
-- process of its own, whose CPU time (user and system) and peak memory the kernel counts;
-- contenders take turns, round by round, so that a slow minute hits them all; what is told is the
-- median. Where even that is too coarse, instructions are counted by callgrind.

local runner = {}

local MEASURE = "build/bench/measure "

local function output_of(command)
  local pipe = assert(io.popen(command))
  local output = pipe:read "a"
  return output, pipe:close()
end

--- Whether a shell finds this program or command to succeed.
function runner.succeeds(command)
  return os.execute("PATH=$PATH:/usr/sbin; " .. command .. " >/dev/null 2>&1") == true
end

--- Runs `command` once. Returns { wall, cpu (seconds), peak (KiB), output }.
function runner.run(command)
  local output, ok = output_of(MEASURE .. command)
  local text, wall, user, system, peak =
    output:match "^(.-)MEASURED ([%d.]+) ([%d.]+) ([%d.]+) (%d+)\n$"
  if not (ok and wall) then error("this failed: " .. command .. "\n" .. output, 0) end
  return {
    wall = tonumber(wall),
    cpu = tonumber(user) + tonumber(system),
    peak = tonumber(peak),
    output = text,
  }
end

--- Instructions that `command` executes, in user space; libraries included.
function runner.instructions(command)
  local output, ok =
    output_of("valgrind --tool=callgrind --callgrind-out-file=/dev/null " .. command .. " 2>&1")
  local count = output:match "Collected : (%d+)"
  if not (ok and count) then
    error("this failed under callgrind: " .. command .. "\n" .. output, 0)
  end
  return tonumber(count)
end

--- The median of a list of numbers, and the least and the greatest.
function runner.median(list)
  local sorted = table.move(list, 1, #list, 1, {})
  table.sort(sorted)
  local middle = #sorted // 2
  local median = #sorted % 2 == 1 and sorted[middle + 1]
    or (sorted[middle] + sorted[middle + 1]) / 2
  return median, sorted[1], sorted[#sorted]
end

--- Calls `sample(contender)` for each contender in turn, `rounds` times. A sample is a table of
--- numbers. Gives each contender `median`, `least` and `greatest`: tables with the same names.
--- A contender with `rounds` of its own has at most so many.
function runner.take_turns(contenders, rounds, sample)
  local samples = {}
  for round = 1, rounds do
    for _, contender in ipairs(contenders) do
      if round <= (contender.rounds or rounds) then
        for name, number in pairs(sample(contender)) do
          if type(number) == "number" then
            samples[contender] = samples[contender] or {}
            local list = samples[contender][name] or {}
            samples[contender][name] = list
            list[#list + 1] = number
          end
        end
      end
    end
  end
  for contender, lists in pairs(samples) do
    contender.median, contender.least, contender.greatest = {}, {}, {}
    for name, list in pairs(lists) do
      contender.median[name], contender.least[name], contender.greatest[name] = runner.median(list)
    end
  end
end

return runner
