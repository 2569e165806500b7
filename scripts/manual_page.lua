-- Prints the manual page of the command qhub-lua, made of what its --help says.
--
--   lua5.4 scripts/manual_page.lua [--write]      --write: into docs/qhub-lua.1
--
-- The text of the help is set as it stands, so that nothing is said twice. Needs argparse.

local PAGE = "docs/qhub-lua.1"

local function help(command)
  local pipe = assert(io.popen("lua5.4 bin/qhub-lua " .. command .. " --help"))
  local text = pipe:read "a"
  assert(pipe:close(), "qhub-lua " .. command .. " --help failed")
  return text
end

local lines = {}
local function put(...)
  lines[#lines + 1] = table.concat { ... }
end

-- As it stands: a backslash, and a dot or quote in front, would be read as a request.
local function put_text(text)
  put ".nf"
  for line in (text:gsub("%s+$", "") .. "\n"):gmatch "(.-)\n" do
    put((line:gsub("\\", "\\e"):gsub("%-", "\\-"):gsub("^([.'])", "\\&%1")))
  end
  put ".fi"
end

local main = help ""
local usage, summary, rest = main:match "^(Usage: .-)\n\n(.-)\n\n(.*)$"
put '.\\" Written by scripts/manual_page.lua.'
put '.TH QHUB-LUA 1 "" qhub "User Commands"'
put ".SH NAME"
put("qhub-lua \\- ", (summary:gsub("%.$", ""):gsub("^%u", string.lower)))
put ".SH SYNOPSIS"
put_text((usage:gsub("^Usage: ", "")))
put ".SH DESCRIPTION"
put_text(rest)
for name in main:match("\nCommands:\n(.-)\n\n"):gmatch "\n?   (%l+)  " do
  put(".SH ", name:upper())
  put_text(help(name))
end
put ".SH SEE ALSO"
put "docs/command.md and docs/tokens.md of qhub"

local text = table.concat(lines, "\n") .. "\n"
local file = arg[1] == "--write" and assert(io.open(PAGE, "w")) or io.stdout
file:write(text)
