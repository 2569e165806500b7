-- Downloads into a folder under names that a hostile server chose.
--
--   scripts/with_build.sh build lua5.4 scripts/conformance/names.lua
--
-- No path leaves the folder, links planted in it are not followed, files get the umask's mode, the
-- growing part is private, and names that differ do not overwrite each other. Needs luafilesystem.

local lfs = require "lfs"
local listing = require "spec.support.listing"
local qhub = require "qhub"

local names = {
  "../escape",
  "../../escape",
  "/etc/escape",
  "//escape",
  "a/../../escape",
  "..\\escape",
  "\\escape",
  "C:\\escape",
  "C:escape",
  "\\\\host\\share\\escape",
  "..%2fescape",
  "%2e%2e%2fescape",
  "..;/escape",
  "./escape",
  ".//escape",
  "escape/",
  "escape/.",
  "escape/..",
  "...",
  "....//escape",
  ". ./escape",
  ".. /escape",
  " ../escape",
  "..\u{2215}escape",
  "..\u{FF0F}escape",
  "\u{FF0E}\u{FF0E}/escape",
  "..\xC0\xAFescape",
  "\xff\xfe/escape",
  "a\0/../escape",
  "\0",
  "a\0b",
  "a\nb",
  "a\rb",
  "\27[2Jescape",
  "\u{202E}gpj.exe",
  "\u{200B}",
  "\u{FEFF}a",
  " ",
  "  a",
  "a ",
  "a.",
  "a..",
  ".hidden",
  ".bashrc",
  ".ssh",
  ".git",
  "-rf",
  "--help",
  "~",
  "~root",
  "~/escape",
  "$HOME",
  "`id`",
  "$(id)",
  "a;b",
  "a|b",
  "a&b",
  "a'b",
  'a"b',
  "a*b",
  "a?b",
  "a<b",
  "a>b",
  "a:b",
  "a::$DATA",
  "CON",
  "con.txt",
  "NUL",
  "nul.tar.gz",
  "COM1",
  "LPT9.x",
  "AUX",
  "desktop.ini",
  "Thumbs.db",
  ("x"):rep(255),
  ("x"):rep(256),
  ("x"):rep(5000),
  ("ä"):rep(200),
  ("/x"):rep(200),
  ("../"):rep(200) .. "escape",
  "plots/e.png",
  "plots_e.png",
  "e.png",
  "E.png",
  "é",
  "e\u{301}",
  "result.bin.part",
  ".result.bin.part",
  "planted",
  "planted.txt",
  "folder",
} -- stylua: ignore

local top = os.tmpname()
os.remove(top)
assert(lfs.mkdir(top))
local folder, outside = top .. "/into", top .. "/outside"
assert(lfs.mkdir(folder) and lfs.mkdir(outside))

local function write(path, text)
  local file <close> = assert(io.open(path, "wb"))
  file:write(text)
end
local function read(path)
  local file <close> = assert(io.open(path, "rb"))
  return file:read "a"
end

write(outside .. "/victim", "untouched")
-- Planted: a link to a file, to a folder, to nothing, to itself; a folder of a file's name.
assert(lfs.link(outside .. "/victim", folder .. "/planted", true))
assert(lfs.link(outside .. "/made", folder .. "/planted.txt", true))
assert(lfs.link("e.png", folder .. "/e.png", true))
assert(lfs.link(outside, folder .. "/folder", true))
assert(lfs.mkdir(folder .. "/_hidden"))

local body -- of the file that is asked for
local client = qhub.HubServiceClient {
  base_url = "https://gateway.example/a/b/v1",
  token = "token",
  max_retries = 0,
  transport = function()
    local sent = false
    return {
      status_code = 200,
      headers = { ["content-length"] = #body, etag = '"1"' },
      body = function()
        sent = not sent
        return sent and body or nil
      end,
    }
  end,
}
local execution = client:execution "e1"

local failures = {}
local function check(condition, name, ...)
  if not condition then
    local what = table.concat({ ... }, " "):sub(1, 200)
    failures[#failures + 1] = ("FAILED %q: %s"):format(name:sub(1, 50), what)
  end
end

local umask = tonumber(io.popen("umask"):read "a", 8)
local expected_mode = 438 & ~umask -- 0666

local function mode_of(path)
  local text = lfs.symlinkattributes(path, "permissions")
  local mode = 0
  for i = 1, 9 do
    mode = mode << 1 | (text:sub(i, i) ~= "-" and 1 or 0)
  end
  return mode
end

local before = {}
for _, entry in ipairs(listing.names(folder)) do
  before[entry] = true
end

local saved = {} -- path → the name that it was saved for
local count = 0
for _, name in ipairs(names) do
  count = count + 1
  body = "body of " .. name
  local parts = 0
  local path, err = execution:download(name, folder, {
    progress = function()
      for _, entry in ipairs(listing.names(folder)) do
        local at = folder .. "/" .. entry
        if not before[entry] and not saved[at] then
          parts = parts + 1
          check(mode_of(at) == 384, name, "the part", entry, "is readable by others") -- 0600
        end
      end
    end,
  })
  if path then
    check(parts > 0, name, "no part was seen")
    local short = path:match("^" .. folder:gsub("%p", "%%%0") .. "/([^/]+)$")
    check(short and short ~= "." and short ~= "..", name, "was saved as", path)
    check(lfs.symlinkattributes(path, "mode") == "file", name, "is no plain file:", path)
    check(read(path) == body, name, "does not hold its bytes:", path)
    check(mode_of(path) == expected_mode, name, ("mode %o"):format(mode_of(path)))
    check(not saved[path], name, "overwrote", tostring(saved[path]), "at", path)
    saved[path] = name
    before[short or ""] = nil
  else
    check(err.kind == "file", name, "failed:", tostring(err))
  end
  check(read(outside .. "/victim") == "untouched", name, "wrote through a link")
end

check(
  #listing.names(outside) == 1,
  "all",
  "something was made outside:",
  table.concat(listing.names(outside), " ")
)
check(#listing.names(top) == 2, "all", "something was made beside the folder")
for path, name in pairs(saved) do
  check(read(path) == "body of " .. name, name, "was changed later")
end
for _, entry in ipairs(listing.names(folder)) do
  local is_known = saved[folder .. "/" .. entry] or before[entry]
  check(is_known, entry, "was left behind")
end

os.execute("rm -r " .. top)
for i = 1, math.min(#failures, 20) do
  print(failures[i])
end
print(("names: %d downloads, %d failed"):format(count, #failures))
os.exit(#failures == 0, true)
