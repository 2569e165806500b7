-- Stands in for lua-system where Debian packages it for older Lua only: what busted takes from it.
return {
  gettime = os.time,
  monotime = os.clock,
  sleep = function(seconds)
    os.execute("sleep " .. seconds)
  end,
}
