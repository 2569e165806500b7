-- Stands in for lua-term where Debian packages it for older Lua only: what busted takes from it.
return {
  isatty = function()
    return false
  end,
}
