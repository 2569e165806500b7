-- The message of the usage error that `fn(...)` raises.
return function(fn, ...)
  local ok, message = pcall(fn, ...)
  assert(not ok, "no error was raised")
  assert(type(message) == "string", "the error is not a usage error")
  return message
end
