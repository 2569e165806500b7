-- Bodies of starts and texts of responses, the same for every contender in Lua.

local bodies = {}

--- A status as the gateway answers it.
bodies.EXECUTION = '{"id":"02e0d85a-5a95-4abe-a642-1ee9a94fdf14",'
  .. '"serviceId":"7c0b1a52-9a34-4b8e-8d0f-3f6a2f1c9e01","applicationId":'
  .. '"c5a9e8d7-0b1c-4f2d-8e3f-6a7b8c9d0e03","createdAt":"2026-02-27 10:04:50",'
  .. '"startedAt":"2026-02-27 10:04:52","endedAt":"2026-02-27 10:05:21","status":"SUCCEEDED",'
  .. '"type":"MANAGED","tags":["demo"]}'

--- A body that is `bytes` long as JSON: {"input":{"data":"xxx…"}}.
function bodies.text(bytes)
  return { input = { data = ("x"):rep(bytes - #'{"input":{"data":""}}') } }
end

--- A body of 10 MB, most of it random doubles; of `count` doubles, if it is given.
function bodies.doubles(count)
  math.randomseed(20250501)
  local numbers = {}
  for i = 1, count or 520000 do
    numbers[i] = math.random() * 2 - 1
  end
  return { input = { coefficients = numbers }, params = { shots = 1000 } }
end

--- A body of 10 MB: objects of texts, integers, booleans, lists and a double each.
function bodies.mixed()
  math.randomseed(20250501)
  local items = {}
  for i = 1, 50000 do
    items[i] = {
      id = ("%08x-%04x-4abe-a642-1ee9a94fdf14"):format(i, i % 65536),
      name = "measurement " .. i,
      note = 'a "quoted" word,\nanother line, and Zürich',
      shots = math.random(1, 100000),
      seed = math.random(0),
      is_valid = i % 3 == 0,
      energy = math.random() * 2 - 1,
      qubits = { 0, 1, 2, i % 7 },
    }
  end
  return { items = items }
end

return bodies
