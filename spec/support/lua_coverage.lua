-- A busted helper that counts which lines of lua/qhub a run reaches, and prints for each file the
-- share of lines with code that were run, and the first few that were not.
-- `--helper=spec/support/lua_coverage.lua`
local busted = require("busted")

local MAX_SHOWN = 12
local hits = {} -- source name -> line -> true

require("spec.support.hook")(function(_, line)
  local name = debug.getinfo(2, "S").source
  local lines = hits[name]
  if lines == nil then
    lines = name:find("lua/qhub/", 1, true) and {} or false
    hits[name] = lines
  end
  if lines then lines[line] = true end
end, "l")

-- The lines that have code, by the compiler's own listing: those of functions never called as well.
local function lines_with_code(name)
  local lines, seen = {}, {}
  local listing = assert(io.popen(("luac5.4 -l -p '%s'"):format(name)))
  for text in listing:lines() do
    local line, operation = text:match("^%s+%d+%s+%[(%d+)%]%s+(%u+)")
    line = tonumber(line)
    -- VARARGPREP and the return at a function's `end` are the compiler's, not the author's.
    if line and not seen[line] and operation ~= "VARARGPREP" and operation ~= "RETURN0" then
      seen[line] = true
      lines[#lines + 1] = line
    end
  end
  listing:close()
  table.sort(lines)
  return lines
end

local function report_file(name)
  local reached = {}
  for source, lines in pairs(hits) do
    if lines and source:sub(-#name) == name then
      for line in pairs(lines) do
        reached[line] = true
      end
    end
  end
  local lines, missed = lines_with_code(name), {}
  for _, line in ipairs(lines) do
    if not reached[line] then missed[#missed + 1] = line end
  end
  local run = #lines - #missed
  local note = ""
  if #missed > 0 then
    note = "  not: " .. table.concat(missed, " ", 1, math.min(#missed, MAX_SHOWN))
    note = #missed > MAX_SHOWN and note .. " ..." or note
  end
  print(("%6.1f %% of %4d  %s%s"):format(100 * run / math.max(#lines, 1), #lines, name, note))
  return run, #lines
end

busted.subscribe({ "exit" }, function()
  debug.sethook()
  local run, all = 0, 0
  local files = assert(io.popen("find lua/qhub -name '*.lua' | sort"))
  for name in files:lines() do
    local file_run, file_all = report_file(name)
    run, all = run + file_run, all + file_all
  end
  files:close()
  print(("%6.1f %% of %4d  in all"):format(100 * run / math.max(all, 1), all))
  return nil, true
end)
