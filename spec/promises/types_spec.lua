-- types/qhub.lua against the library: every public name is there, described, and no other; and
-- docs/reference.md against types/qhub.lua.

local FakeTransport = require "spec.support.fake_transport"
local annotations = dofile "scripts/annotations.lua"
local gateway = require "spec.support.gateway"
local qhub = require "qhub"

local plain_assert = _G.assert
local entries = annotations.read "types/qhub.lua"

local function names_of(list)
  local names = {}
  for _, item in ipairs(list) do
    names[#names + 1] = item.name
  end
  table.sort(names)
  return names
end

local function keys_of(value)
  local names = {}
  for name in pairs(value) do
    names[#names + 1] = name
  end
  table.sort(names)
  return names
end

local function functions_of(name)
  return names_of(annotations.find(entries, name).functions)
end

local function fields_of(name)
  return names_of(annotations.all_fields(entries, name))
end

local function joined(...)
  local names = {}
  for _, list in ipairs { ... } do
    table.move(list, 1, #list, #names + 1, names)
  end
  table.sort(names)
  return names
end

-- The value of the local variable `name` that `fn` uses.
local function upvalue(fn, name)
  for index = 1, math.huge do
    local found, value = debug.getupvalue(fn, index)
    if not found then
      error("the function uses no variable called " .. name)
    elseif found == name then
      return value
    end
  end
end

-- The option names that a call knows, as its own message for an unknown one lists them. `call` is
-- given the table with that unknown name.
local function options_of(call)
  local ok, message = pcall(call, { [("z"):rep(40)] = true })
  plain_assert(not ok, "an unknown option was taken")
  local list = plain_assert(message:match "known are ([%w_, ]+)$", message)
  local names = {}
  for name in list:gmatch "[%w_]+" do
    names[#names + 1] = name
  end
  return names
end

describe("types/qhub.lua", function()
  local client, execution

  setup(function()
    client = FakeTransport({ { status_code = 200, body = "[]" } }):client()
    execution = client:execution "1"
  end)

  it('has exactly the names that require "qhub" returns', function()
    assert.same(keys_of(qhub), joined(functions_of "qhub", fields_of "qhub"))
  end)

  it("has the methods of a client", function()
    local methods = getmetatable(client).__index
    local known = joined(functions_of "qhub.HubServiceClient", fields_of "qhub.HubServiceClient")
    assert.same(joined(keys_of(methods), { "service_api" }), known)
    assert.equal(client, client.service_api)
  end)

  it("has the methods and the fields of an execution", function()
    local executions = require "qhub.execution"
    assert.same(keys_of(executions.methods), functions_of "qhub.Execution")
    local raw = {}
    for _, name in ipairs(fields_of "qhub.Execution") do
      raw[name] = "x"
    end
    local present = { "raw" }
    for name in pairs(executions.new(raw, client)) do
      present[#present + 1] = name
    end
    table.sort(present)
    assert.same(present, fields_of "qhub.Execution")
    local next_field = upvalue(getmetatable(executions.new {}).__pairs, "next_field")
    assert.equal(#upvalue(next_field, "names") + 1, #present) -- and raw
  end)

  it("has the methods and the fields of a file", function()
    local fake = FakeTransport { { status_code = 200, headers = {}, body = "x" } }
    local file <close> = plain_assert(fake:client():get_result_file("1", "x"))
    local index = getmetatable(file).__index
    local _, methods = debug.getupvalue(index, 2) -- of a C function: metatable, methods, fields
    local _, fields = debug.getupvalue(index, 3)
    assert.same(keys_of(methods), functions_of "qhub.File")
    assert.same(keys_of(fields), fields_of "qhub.File")
  end)

  it("has the functions of json, credentials, tasks and a task", function()
    assert.same(keys_of(qhub.json), joined(functions_of "qhub.json", fields_of "qhub.json"))
    assert.same(keys_of(qhub.credentials), functions_of "qhub.credentials")
    assert.same(keys_of(qhub.tasks), functions_of "qhub.tasks")
    local task
    qhub.tasks.run(function()
      task = qhub.tasks.spawn(function() end)
    end)
    assert.same(keys_of(getmetatable(task).__index), functions_of "qhub.Task")
  end)

  it("has the enumerations with their values", function()
    for _, name in ipairs {
      "ServiceExecutionStatus",
      "ServiceExecutionType",
      "LogEntrySeverity",
      "HubServiceClientEnvironment",
    } do
      local values = {}
      for _, value in ipairs(annotations.find(entries, "qhub." .. name).values) do
        values[value.name] = value.value
      end
      assert.same(qhub[name], values)
    end
  end)

  it("has the options of the constructor", function()
    local function build(name)
      return function(given)
        local options = { token = "x", base_url = "https://gateway.example" }
        options[name] = given
        qhub.HubServiceClient(options)
      end
    end
    assert.same(options_of(qhub.HubServiceClient), fields_of "qhub.ClientOptions")
    assert.same(options_of(build "http"), fields_of "qhub.HttpOptions")
    assert.same(options_of(build "logging"), fields_of "qhub.LoggingOptions")
  end)

  it("has the options of credentials", function()
    local credentials = qhub.credentials
    assert.same(
      options_of(credentials.client_credentials),
      fields_of "qhub.ClientCredentialsOptions"
    )
    assert.same(options_of(credentials.default), fields_of "qhub.PersonalTokenOptions")
  end)

  -- Each function of the library that takes options, by the type that it is annotated with.
  local calls = {
    ["client:get_service_executions"] = function(options)
      client:get_service_executions(options)
    end,
    ["client:start_execution"] = function(options)
      client:start_execution({}, options)
    end,
    ["client:get_status"] = function(options)
      client:get_status("1", options)
    end,
    ["client:get_result"] = function(options)
      client:get_result("1", options)
    end,
    ["client:get_result_file"] = function(options)
      client:get_result_file("1", "x", options)
    end,
    ["client:get_logs"] = function(options)
      client:get_logs("1", options)
    end,
    ["client:cancel_execution"] = function(options)
      client:cancel_execution("1", options)
    end,
    ["client:run"] = function(options)
      client:run({}, options)
    end,
    ["client:wait_all"] = function(options)
      client:wait_all({ execution }, options)
    end,
    ["execution:download"] = function(options)
      execution:download("x", "x", options)
    end,
    ["file:save"] = function(options)
      local fake = FakeTransport { { status_code = 200, body = "x" } }
      local file <close> = plain_assert(fake:client():get_result_file("1", "x"))
      file:save("x", options)
    end,
  }
  for _, name in ipairs { "refresh", "wait", "result", "result_files", "logs", "follow_logs" } do
    calls["execution:" .. name] = function(options)
      execution[name](execution, options)
    end
  end
  calls["execution:cancel"] = function(options)
    execution:cancel(options)
  end
  calls["execution:result_file"] = function(options)
    execution:result_file("x", options)
  end

  local OWNERS = {
    ["qhub.HubServiceClient"] = "client",
    ["qhub.Execution"] = "execution",
    ["qhub.File"] = "file",
  }
  for class_name, variable in pairs(OWNERS) do
    for _, fn in ipairs(annotations.find(entries, class_name).functions) do
      local options = fn.parameters[#fn.parameters]
      if options and options.name == "options" then
        local name = variable .. ":" .. fn.name
        it("has the options of " .. name, function()
          plain_assert(calls[name], "no call of " .. name .. " here")
          local known = fields_of(options.type)
          assert.same(options_of(calls[name]), known)
        end)
      end
    end
  end

  it("has the options of the requests within a wait and within a run", function()
    local function request(options)
      execution:wait { request = options }
    end
    local function start(options)
      client:run({}, { start = options })
    end
    assert.same(options_of(request), fields_of "qhub.RequestOptions")
    assert.same(options_of(start), fields_of "qhub.StartOptions")
  end)

  it("has the fields that errors are made with", function()
    local found = {}
    for path in plain_assert(io.popen "find lua/qhub -name '*.lua'"):lines() do
      local source = plain_assert(io.open(path)):read "a"
      for field in source:gmatch "%f[%w]err%.([%w_]+) = " do
        found[field] = true
      end
      if path:find "http/failure" or path:find "qhub/error" then
        for field in source:gmatch "%f[%w]fields%.([%w_]+)" do
          found[field] = true
        end
      end
      for _, maker in ipairs { "errors%.new%s*(%b{})", "new_error(%b())" } do
        for body in source:gmatch(maker) do
          for field in body:gmatch "[{,]%s*([%l_]+) = " do
            found[field] = true
          end
        end
      end
    end
    assert.same(keys_of(found), fields_of "qhub.Error")
  end)

  it("has the fields that on_response, a transport and a logger receive", function()
    local asked, response, logged = nil, nil, {}
    local service = qhub.HubServiceClient {
      token = "x",
      base_url = "https://gateway.example",
      transport = function(request)
        asked = request
        return { status_code = 200, body = '{"id":"1"}' }
      end,
      on_response = function(given)
        response = given
      end,
      logging = {
        level = "debug",
        logger = function(_, _, fields)
          for name in pairs(fields) do
            logged[name] = true
          end
        end,
      },
    }
    plain_assert(service:start_execution {})
    assert.same(keys_of(asked), fields_of "qhub.TransportRequest")
    assert.same(keys_of(response), fields_of "qhub.Response")
    local known = {}
    for _, name in ipairs(fields_of "qhub.LogFields") do
      known[name] = true
    end
    for name in pairs(logged) do
      assert.is_true(known[name], "the logger is told " .. name)
    end
  end)

  it("describes every option and function", function()
    local PLAIN = { LogEntry = true, TransportRequest = true, HalLink = true, Task = true }
    for _, entry in ipairs(entries) do
      for _, fn in ipairs(entry.functions or {}) do
        plain_assert(fn.text[1], entry.name .. "." .. fn.name .. " has no description")
        local parameters = {}
        for _, parameter in ipairs(fn.parameters) do
          parameters[#parameters + 1] = parameter.name
        end
        assert.equal(fn.arguments, table.concat(parameters, ", "), entry.name .. "." .. fn.name)
      end
      if entry.kind == "class" and entry.name:find "Options$" then
        for _, field in ipairs(entry.fields) do
          plain_assert(field.type ~= "", entry.name .. "." .. field.name .. " has no type")
        end
      end
      local short = (entry.name or ""):match "%.(%w+)$"
      if entry.kind == "class" and entry.functions[1] and not PLAIN[short] then
        plain_assert(entry.text[1] or entry.fields[1] or short == "credentials", entry.name)
      end
    end
  end)

  it("names the kinds that errors have", function()
    local kinds = {}
    for _, value in ipairs(annotations.find(entries, "qhub.ErrorKind").values) do
      kinds[value.value] = true
      plain_assert(value.meaning and value.meaning ~= "")
    end
    for path in plain_assert(io.popen "find lua/qhub -name '*.lua'"):lines() do
      local source = plain_assert(io.open(path)):read "a"
      for kind in source:gmatch 'kind = "([%l_]+)"' do
        if kind ~= "too_large" and kind ~= "file" and kind ~= "wait" then
          assert.is_true(kinds[kind] or false, path .. ": kind " .. kind)
        end
      end
    end
  end)

  it("loads as plain Lua", function()
    plain_assert(loadfile "types/qhub.lua")()
  end)
end)

describe("docs/reference.md", function()
  it("is what `make docs` writes", function()
    assert.is_true(os.execute "lua5.4 scripts/reference.lua --check")
  end)
end)

describe("a response of the simulator", function()
  it("has only fields of an execution that the types name", function()
    local server <close> = gateway.start()
    local client <close> = qhub.HubServiceClient { base_url = server.url, token = server.token }
    local execution = plain_assert(client:start_execution {})
    local known = {}
    for _, name in ipairs(fields_of "qhub.Execution") do
      known[name] = true
    end
    for name in pairs(execution) do
      assert.is_true(known[name], name)
    end
  end)
end)
