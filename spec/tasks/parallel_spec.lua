-- `tasks.map`: the same function for each item of a list, so many at a time.

local parallel = require "qhub.tasks.parallel"
local qhub = require "qhub"

local tasks = qhub.tasks

describe("tasks.map", function()
  it("returns first values and errors by index, inside and outside of tasks", function()
    local function double(value, index)
      assert.equal(value, index)
      tasks.sleep(0)
      if value == 2 then
        return nil, "soft"
      elseif value == 3 then
        error("hard", 0)
      end
      return 2 * value
    end
    for _, call in ipairs {
      function()
        return tasks.map({ 1, 2, 3, 4 }, double)
      end,
      function()
        return tasks.run(tasks.map, { 1, 2, 3, 4 }, double, { limit = 2 })
      end,
    } do
      local results, errors = call()
      assert.same({ [1] = 2, [4] = 8 }, results)
      assert.same({ [2] = "soft", [3] = "hard" }, errors)
    end
    assert.same({ {} }, { tasks.map({}, double) })
  end)

  it("works on exactly `limit` items at once", function()
    local list, now, most = {}, 0, 0
    for index = 1, 20 do
      list[index] = index
    end
    tasks.map(list, function()
      now = now + 1
      most = math.max(most, now)
      tasks.sleep(0.001)
      now = now - 1
    end, { limit = 5 })
    assert.equal(5, most)
  end)

  it("keeps the results so far when its task is cancelled", function()
    local results, errors = tasks.run(function()
      local task
      task = tasks.spawn(tasks.map, { 1, 2, 3 }, function(value)
        if value == 2 then
          task:cancel()
          tasks.sleep(1e6)
        end
        return value
      end, { limit = 1 })
      return task:join()
    end)
    assert.same({ 1 }, results)
    assert.equal("cancelled", errors[2].kind)
    assert.equal("cancelled", errors[3].kind)
  end)

  it("notifies progress of the done and failed counts, and propagates its errors", function()
    local told = {}
    tasks.map({ true, false }, function(value)
      return value or nil, "no"
    end, {
      progress = function(...)
        told[#told + 1] = { ... }
      end,
    })
    assert.same({ { 1, 2, 0 }, { 2, 2, 1 } }, told)
    local ok, err = pcall(tasks.map, { 1, 2 }, type, {
      progress = function()
        error("mine", 0)
      end,
    })
    assert.same({ false, "mine" }, { ok, err })
  end)

  it("refuses wrong arguments", function()
    assert.matches("list is needed", select(2, pcall(tasks.map, 1, type)))
    assert.matches("function is needed", select(2, pcall(tasks.map, {}, 1)))
    assert.matches("limit", select(2, pcall(tasks.map, {}, type, { limit = 0 })))
  end)
end)

describe("items that are worked on at once", function()
  local function stop()
    return true
  end
  for ending, finish in pairs { ["says so"] = stop, raises = error } do
    it("end with the first that " .. ending .. ", and cancel the others", function()
      local items, begun, cancelled = {}, 0, 0
      for index = 1, 100 do
        items[index] = index
      end
      local ok = pcall(tasks.run, parallel.each, items, function(item)
        begun = begun + 1
        if item == 3 then return finish() end
        if not pcall(tasks.sleep, 0.05) then cancelled = cancelled + 1 end
      end)
      assert.equal(finish == stop, ok)
      assert.is_true(begun < 100)
      assert.equal(begun - 1, cancelled)
    end)
  end
end)
