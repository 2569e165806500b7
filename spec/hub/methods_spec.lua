-- The methods of executions that are requests: refresh, result and the names of files. Over a fake
-- transport; waits are in spec/polling, downloads in spec/files.

local FakeTransport = require "spec.support.fake_transport"
local qhub = require "qhub"
local virtual_time = require "spec.support.virtual_time"

local MISSING = { status_code = 404 }
local RESULT = { status_code = 200, body = '{"energy":-1.5,"_links":{"self":{},"b":{},"a":{}}}' }

-- An execution of that status, whose client then gets `responses`; and the requests.
local function execution_of(status, responses)
  table.insert(responses, 1, {
    status_code = 200,
    body = ('{"id":"e1","status":"%s","createdAt":"then"}'):format(status),
  })
  local fake = FakeTransport(responses)
  local execution = assert(fake:client({ max_retries = 0 }):get_status "e1")
  table.remove(fake.requests)
  table.remove(responses, 1)
  return execution, fake.requests
end

describe("execution:refresh", function()
  it("updates the execution in place and returns it", function()
    local latest = { status_code = 200, body = '{"id":"e1","status":"FAILED"}' }
    local execution, requests = execution_of("RUNNING", { latest })
    assert.is_true(rawequal(execution, execution:refresh()))
    assert.equal("FAILED", execution.status)
    assert.is_nil(execution.created_at)
    assert.matches("/e1$", requests[1].url)
  end)

  it("leaves the execution as it is when the request fails", function()
    local execution = execution_of("RUNNING", { { status_code = 500 } })
    local none, err = execution:refresh()
    assert.is_nil(none)
    assert.equal(500, err.status_code)
    assert.equal("RUNNING", execution.status)
  end)
end)

describe("execution:result", function()
  it("of a run that SUCCEEDED is waited for within total_timeout", function()
    local time <close> = virtual_time()
    local execution, requests = execution_of("SUCCEEDED", { MISSING, MISSING, RESULT })
    assert.equal(-1.5, assert(execution:result()).energy)
    assert.same({ 2, 3 }, { #time.slept, #requests })
    execution, requests = execution_of("SUCCEEDED", { MISSING })
    local _, err = execution:result { total_timeout = 5 }
    assert.equal(404, err.status_code)
    assert.equal(3, #requests)
  end)

  it("of a run that did not SUCCEED is not waited for", function()
    local execution, requests = execution_of("FAILED", { MISSING })
    local _, err = execution:result()
    assert.equal(404, err.status_code)
    assert.equal(1, #requests)
  end)
end)

describe("a method of an execution", function()
  it("returns the names of the result's files, sorted, as a list", function()
    local execution = execution_of("RUNNING", { RESULT })
    assert.same({ "a", "b" }, execution:result_files())
  end)

  it("raises at the caller's line when there is no id to ask by, or no execution", function()
    local fake = FakeTransport { { status_code = 200, body = '[{"status":"RUNNING"}]' } }
    local nameless = assert(fake:client():get_service_executions())[1]
    for _, name in ipairs { "refresh", "result", "logs", "cancel", "wait", "result_files" } do
      local ok, message = pcall(function()
        nameless[name](nameless)
      end)
      assert.is_false(ok)
      assert.matches("methods_spec.lua:%d+: execution:" .. name .. ": .* no id$", message)
      ok, message = pcall(function()
        nameless[name]({})
      end)
      assert.is_false(ok)
      assert.matches("methods_spec.lua:%d+: execution:" .. name .. ": .* with a colon", message)
    end
    assert.equal(1, #fake.requests)
  end)
end)

describe("the files of a result", function()
  it("are the relations of its links except self and status", function()
    local links = { self = {}, status = {}, ["b.png"] = {}, ["a.txt"] = {} }
    assert.same({ "a.txt", "b.png" }, qhub.result_files { _links = links })
    assert.equal("[]", qhub.json.encode(qhub.result_files {}))
    assert.equal("[]", qhub.json.encode(qhub.result_files "text"))
    assert.is_false((pcall(qhub.result_files)))
  end)

  it("are only names by which a file can be requested", function()
    local links = { [""] = {}, ["."] = {}, [".."] = {}, ["..."] = {}, ["a/../b"] = {} }
    local names = qhub.result_files { _links = links }
    assert.same({ "...", "a/../b" }, names)
    for _, name in ipairs(names) do
      local client = FakeTransport({ { status_code = 404 } }):client()
      assert.equal("api", select(2, client:get_result_file("1", name)).kind)
    end
  end)
end)
