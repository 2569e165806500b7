-- The seven operations as one table, for specs that do the same with each of them.
--
-- A call has: name; method and path (a Lua pattern) as they are on the wire; body, the body of a
-- good response; value, what that is for a program (tables and executions as decoded JSON);
-- repeatable (false: sent twice it could start a second run); invoke(client, options), which
-- returns a value or nil and an error. A file is read to its end, so its value is its content.

local json = require "qhub.json"

local ID = "0190cf2e"

local calls = {
  {
    name = "get_service_executions",
    method = "GET",
    path = "/$",
    body = '[{"id":"0190cf2e","status":"RUNNING"}]',
    invoke = function(client, options)
      return client:get_service_executions(options)
    end,
  },
  {
    name = "start_execution",
    method = "POST",
    path = "/$",
    body = '{"id":"0190cf2e","status":"PENDING"}',
    repeatable = false,
    invoke = function(client, options)
      return client:start_execution({ molecule = "H2" }, options)
    end,
  },
  {
    name = "get_status",
    method = "GET",
    path = "/" .. ID .. "$",
    body = '{"id":"0190cf2e","status":"RUNNING"}',
    invoke = function(client, options)
      return client:get_status(ID, options)
    end,
  },
  {
    name = "get_result",
    method = "GET",
    path = "/" .. ID .. "/result$",
    body = '{"_embedded":{"status":{"id":"0190cf2e","status":"SUCCEEDED"}}}',
    invoke = function(client, options)
      return client:get_result(ID, options)
    end,
  },
  {
    name = "get_result_file",
    method = "GET",
    path = "/" .. ID .. "/result/result%.bin$",
    body = ("0123456789"):rep(10),
    is_file = true,
    invoke = function(client, options)
      local file <close>, err = client:get_result_file(ID, "result.bin", options)
      if not file then return nil, err end
      return file:read_all()
    end,
  },
  {
    name = "get_logs",
    method = "GET",
    path = "/" .. ID .. "/log$",
    body = '[{"message":"begun","severity":"INFO","timestamp":"2024-07-18 10:00:00"}]',
    invoke = function(client, options)
      return client:get_logs(ID, options)
    end,
  },
  {
    name = "cancel_execution",
    method = "PUT",
    path = "/" .. ID .. "/cancel$",
    body = "{}",
    ignores_body = true,
    invoke = function(client, options)
      return client:cancel_execution(ID, options)
    end,
  },
}

for _, call in ipairs(calls) do
  call.repeatable = call.repeatable ~= false
  if call.ignores_body then
    call.value = true
  else
    call.value = call.is_file and call.body or json.decode(call.body)
  end
  calls[call.name] = call
end

return calls
