-- The class of executions, a read-only userdata over a response.

local core = require "qhub.core"
local execution = require "qhub.execution"

local null = core.json.null

describe("an execution", function()
  local methods = {}

  before_each(function()
    for name, method in pairs(execution.methods) do
      methods[name] = method
      execution.methods[name] = nil
    end
  end)

  after_each(function()
    for name in pairs(execution.methods) do
      execution.methods[name] = nil
    end
    for name, method in pairs(methods) do
      execution.methods[name] = method
    end
    methods = {}
  end)

  local answer = {
    id = "02e0d85a",
    createdAt = "2026-02-27 10:04:50",
    startedAt = "2026-02-27 10:04:51",
    endedAt = "2026-02-27 10:05:21",
    status = "SUCCEEDED",
    type = "MANAGED",
    serviceId = "s",
    serviceDefinitionId = "d",
    applicationId = "a",
    tags = { "x", "y" },
    somethingNew = 7,
  }

  it("shows the members of the response in snake_case", function()
    local run = execution.new(answer, "owner")
    assert.equal("02e0d85a", run.id)
    assert.equal("2026-02-27 10:04:50", run.created_at)
    assert.equal("2026-02-27 10:04:51", run.started_at)
    assert.equal("2026-02-27 10:05:21", run.ended_at)
    assert.equal("SUCCEEDED", run.status)
    assert.equal("MANAGED", run.type)
    assert.equal("s", run.service_id)
    assert.equal("d", run.service_definition_id)
    assert.equal("a", run.application_id)
    assert.equal(answer.tags, run.tags)
    assert.equal(answer, run.raw)
  end)

  it("accepts snake_case in responses, and prefers camelCase", function()
    assert.equal("s", execution.new({ created_at = "s" }).created_at)
    assert.equal("c", execution.new({ created_at = "s", createdAt = "c" }).created_at)
  end)

  it("is nil for unknown, absent and null members", function()
    local run = execution.new({ id = "x", somethingNew = 7, type = null })
    assert.is_nil(run.somethingNew)
    assert.is_nil(run.createdAt)
    assert.is_nil(run.status)
    assert.is_nil(run.type)
    assert.is_nil(run[1])
    assert.is_nil(run[{}])
    assert.is_nil(run.methods)
  end)

  it("uses snake_case when camelCase is null", function()
    assert.equal("s", execution.new({ createdAt = null, created_at = "s" }).created_at)
    assert.is_nil(execution.new({ createdAt = null }).created_at)
  end)

  it("finds methods before fields, so that no response can hide one", function()
    execution.methods.wait = function(self, more)
      return self, more
    end
    execution.methods.status = function() end
    local run = execution.new({ id = "x", wait = 1, status = "RUNNING" })
    local self, more = run:wait(5)
    assert.equal(run, self)
    assert.equal(5, more)
    assert.equal("function", type(run.status))
  end)

  it("is read-only", function()
    local run = execution.new(answer)
    for _, key in ipairs({ "id", "raw", "anything", 1 }) do
      local ok, message = pcall(function()
        run[key] = 1
      end)
      assert.is_false(ok)
      assert.matches("execution_spec.lua:%d+: qhub.Execution is read%-only$", message)
    end
  end)

  it("merges the members of another response, except nulls for known members", function()
    local run = execution.new({ id = "x", status = "PENDING", tags = null, startedAt = "then" })
    execution.merge(run, { status = "RUNNING", startedAt = null, tags = null })
    assert.equal("RUNNING", run.status)
    assert.equal("then", run.started_at)
    assert.equal(null, run.raw.tags)
  end)

  it("knows which statuses are terminal", function()
    for _, status in ipairs(execution.STATUSES) do
      local ended = status == "SUCCEEDED" or status == "FAILED" or status == "CANCELLED"
      assert.equal(ended, execution.is_terminal(status))
    end
    assert.is_false(execution.is_terminal(nil))
    assert.is_false(execution.is_terminal("PAUSED"))
  end)

  describe("made of a response's text", function()
    local text = '{"id":"x","status":"RUNNING","createdAt":"then","tags":["a"],"energy":NaN}'

    it("returns id and status without decoding the text", function()
      local run = execution.of_text("no JSON", "x", "RUNNING")
      assert.equal("x", run.id)
      assert.equal("RUNNING", run.status)
      assert.equal("qhub.Execution x RUNNING", tostring(run))
      assert.is_true(run == execution.new({ id = "x" }))
      assert.is_nil(run.unknown)
      assert.is_nil(execution.of_text("no JSON", "x").status)
    end)

    it("shows all members of the text, with the id it was given", function()
      local run = execution.of_text(text, "x", "RUNNING", "owner")
      assert.equal("then", run.created_at)
      assert.same({ "a" }, { table.unpack(run.tags) })
      assert.is_true(run.raw.energy ~= run.raw.energy)
      assert.equal("owner", execution.owner(run))
      assert.equal("x", execution.of_text("{}", "x").raw.id)
      assert.equal('{"a":1,"id":"x"}', core.json.encode(execution.of_text('{"a":1}', "x")))
    end)

    it("returns the same table as raw each time", function()
      local run = execution.of_text(text, "x", "RUNNING")
      local raw = run.raw
      assert.equal("RUNNING", raw.status)
      assert.is_true(rawequal(raw, run.raw))
    end)

    it("is walked by pairs, one field of the text after the other", function()
      local shown = {}
      for name, value in pairs(execution.of_text(text, "x", "RUNNING")) do
        shown[#shown + 1] = name .. "=" .. (type(value) == "table" and #value or value)
      end
      assert.same({ "id=x", "created_at=then", "status=RUNNING", "tags=1" }, shown)
    end)

    it("can be updated by the members of another response", function()
      local run = execution.of_text(text, "x", "RUNNING")
      execution.merge(run, { status = "FAILED" })
      assert.equal("FAILED", run.status)
      assert.equal("then", run.created_at)
    end)

    it("can take over the members of another execution", function()
      local run = execution.new({ id = "x", status = "PENDING" }, "owner")
      assert.equal(run, execution.adopt(run, execution.of_text(text, "x", "RUNNING")))
      assert.equal("RUNNING", run.status)
      assert.equal("then", run.created_at)
      assert.equal("owner", execution.owner(run))
      local latest = execution.new({ id = "x", status = "FAILED" })
      assert.is_true(rawequal(latest.raw, execution.adopt(run, latest).raw))
      assert.equal("FAILED", run.status)
    end)
  end)

  it("keeps the owner it was made with, which may be any value", function()
    local owner = {}
    assert.equal(owner, execution.owner(execution.new({}, owner)))
    assert.is_nil(execution.owner(execution.new({})))
  end)

  it("keeps response and owner alive, and releases both with it", function()
    local watched = setmetatable({}, { __mode = "v" })
    -- functions of their own, for what a function has held may stay on its stack
    local function fill()
      local owner, raw = {}, {}
      local run = execution.new(raw, owner)
      owner.run = run -- a cycle through the user values
      watched.owner, watched.raw, watched.run = owner, raw, run
    end
    local function check()
      local run = watched.run
      collectgarbage()
      collectgarbage()
      assert.is_true(rawequal(watched.owner, execution.owner(run)))
      assert.is_true(rawequal(watched.raw, run.raw))
    end
    fill()
    check()
    collectgarbage()
    collectgarbage()
    assert.same({}, watched)
  end)

  it("shows id and status in tostring", function()
    assert.equal("qhub.Execution 02e0d85a SUCCEEDED", tostring(execution.new(answer)))
    assert.equal("qhub.Execution 7", tostring(execution.new({ id = "7" })))
    assert.equal("qhub.Execution (no id) FAILED", tostring(execution.new({ status = "FAILED" })))
    assert.equal("qhub.Execution (no id)", tostring(execution.new({ status = {} })))
  end)

  it("shows hostile values without control characters and within limits", function()
    local shown = tostring(execution.new({ id = "\27[2J\0\n\\\xff", status = ("S"):rep(1000000) }))
    assert.is_nil(shown:find("[^\32-\126]"))
    assert.truthy(#shown < 300)
    assert.truthy(shown:find([[\x1b[2J\x00\x0a\\\xff SSS]], 1, true))
    assert.truthy(shown:find("S...", 1, true))
    for length = 115, 135 do
      local bounded = tostring(execution.new({ id = ("\1"):rep(length) }))
      assert.truthy(#bounded < 160)
    end
  end)

  it("equals another one with the same id", function()
    local one = execution.new({ id = "x", status = "PENDING" })
    assert.is_true(one == execution.new({ id = "x" }))
    assert.is_false(one == execution.new({ id = "y" }))
    assert.is_false(execution.new({}) == execution.new({}))
    assert.is_false(one == io.stdout)
    assert.is_false(one == "x")
    local nameless = execution.new({})
    assert.is_true(rawequal(nameless, nameless) and nameless == nameless)
  end)

  it("is walked by pairs in a fixed order, without absent fields", function()
    local names = {}
    for name, value in pairs(execution.new(answer)) do
      names[#names + 1] = name
      assert.equal(execution.new(answer)[name], value)
    end
    assert.same({
      "id",
      "created_at",
      "started_at",
      "ended_at",
      "status",
      "type",
      "service_id",
      "service_definition_id",
      "application_id",
      "tags",
    }, names)
    local few = {}
    for name, value in pairs(execution.new({ tags = 1, id = "7", status = null, other = 2 })) do
      few[#few + 1] = name .. "=" .. tostring(value)
    end
    assert.same({ "id=7", "tags=1" }, few)
    assert.is_nil((pairs(execution.new({}))(execution.new({}))))
  end)

  it("is recognised by type", function()
    assert.is_true(execution.is(execution.new({})))
    assert.is_false(execution.is({}))
    assert.is_false(execution.is(nil))
    assert.is_false(execution.is(io.stdout))
    assert.equal("userdata", type(execution.new({})))
    assert.equal("qhub.Execution", getmetatable(execution.new({})).__name)
  end)

  it("refuses wrong arguments", function()
    for _, name in ipairs({ "owner", "adopt" }) do
      assert.error_matches(function()
        execution[name]({}, {})
      end, "qhub.Execution expected, got table")
    end
    local meta = getmetatable(execution.new({}))
    for _, name in ipairs({ "__index", "__tostring", "__pairs" }) do
      assert.error_matches(function()
        meta[name](io.stdout, "id")
      end, "qhub.Execution expected, got FILE%*")
    end
  end)

  it("encodes to its response as JSON", function()
    local run = execution.new({ id = "x" })
    assert.equal('{"id":"x"}', core.json.encode(run))
    assert.equal('[{"id":"x"}]', core.json.encode({ run }))
  end)
end)
