-- busted's output for this project: one line for each spec file, every failure in full where it
-- happens, and as the very last line `N passed, N failed, N skipped`.
--
-- Stricter than busted's own handlers: a run in which nothing ran fails, and so does one that
-- skipped something (a skipped case is a promise that nobody checked). Errors outside of tests
-- count as failed.
local busted = require("busted")
local new_base = require("busted.outputHandlers.base")
local pretty = require("pl.pretty")

local function seconds(value)
  return ("%.2f s"):format(value)
end

return function(options)
  local handler = new_base()
  local verbose = options.verbose
  -- Of the file under way.
  local file_passed, file_troubles

  local function text_of(message)
    if message == nil then
      return "(no message)"
    elseif type(message) == "string" then
      return message
    end
    local metatable = getmetatable(message)
    if metatable and metatable.__tostring then return tostring(message) end
    return pretty.write(message)
  end

  local function show(label, item)
    local place = item.element.trace or item.trace
    local parts = { ("%s: %s"):format(label, item.name or "before any test") }
    if place and place.short_src then
      parts[#parts + 1] = ("at %s:%s"):format(place.short_src, place.currentline)
    end
    parts[#parts + 1] = text_of(item.message)
    local trace = item.trace
    if trace and trace.traceback and (verbose or item.isError) then
      parts[#parts + 1] = trace.traceback:match("^%s*(.-)%s*$")
    end
    local text = table.concat(parts, "\n"):gsub("\n", "\n  ")
    io.write("\n", text, "\n\n")
    io.flush()
  end

  local function counts()
    return handler.successesCount,
      handler.failuresCount + handler.errorsCount,
      handler.pendingsCount
  end

  -- Said at once: a run that crashes or hangs gets no further.
  handler.suite_start = function(_, _, _, randomseed)
    if randomseed then
      print(("The order of this run: SEED=%d"):format(randomseed))
      io.flush()
    end
    return nil, true
  end

  handler.file_start = function()
    file_passed, file_troubles = handler.successesCount, select(2, counts())
    return nil, true
  end

  handler.file_end = function(file)
    local passed, failed = counts()
    passed, failed = passed - file_passed, failed - file_troubles
    local note = failed > 0 and (", %d FAILED"):format(failed) or ""
    local time = file.duration and (" (%s)"):format(seconds(file.duration)) or ""
    print(("%-36s %4d passed%s%s"):format(file.name, passed, note, time))
    io.flush()
    return nil, true
  end

  handler.test_start = function(element)
    if verbose then
      io.write("  ", handler.getFullName(element), "\n")
      io.flush()
    end
    return nil, true
  end

  handler.test_end = function(_, _, status)
    if status == "pending" then
      show("SKIPPED", handler.pendings[#handler.pendings])
    elseif status == "failure" then
      show("FAILED", handler.failures[#handler.failures])
    elseif status == "error" then
      show("FAILED", handler.errors[#handler.errors])
    end
    return nil, true
  end

  -- Trouble that is no test's own: a file that does not load, a teardown that raises.
  handler.trouble = function(element)
    if element.descriptor ~= "it" then show("FAILED", handler.errors[#handler.errors]) end
    return nil, true
  end

  handler.suite_end = function()
    local passed, failed, skipped = counts()
    local reason
    if failed == 0 and skipped > 0 then
      reason = "something was skipped"
    elseif passed + failed == 0 then
      reason = "nothing was run"
    end
    if reason then
      -- The runner counts error events to know its exit status.
      print("This run fails: " .. reason .. ".")
      handler.trouble = nil
      busted.publish({ "error", "summary" }, { descriptor = "summary" }, nil, reason, {})
    end
    if handler.getDuration() > 0 then
      print(("%s in all"):format(seconds(handler.getDuration())))
    end
    print(("%d passed, %d failed, %d skipped"):format(passed, failed, skipped))
    io.flush()
    return nil, true
  end

  busted.subscribe({ "suite", "start" }, handler.suite_start)
  busted.subscribe({ "suite", "end" }, handler.suite_end)
  busted.subscribe({ "file", "start" }, handler.file_start)
  busted.subscribe({ "file", "end" }, handler.file_end)
  busted.subscribe({ "test", "start" }, handler.test_start)
  busted.subscribe({ "test", "end" }, handler.test_end)
  busted.subscribe({ "error" }, function(...)
    if handler.trouble then return handler.trouble(...) end
    return nil, true
  end)
  busted.subscribe({ "failure" }, function(...)
    return handler.trouble(...)
  end)

  return handler
end
