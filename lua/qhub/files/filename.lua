-- Makes a name that somebody else chose into one that is safe for a file in a folder: a pure
-- function, the same on every system, so that a program's files are named alike everywhere.
--
-- What comes out is one name of valid UTF-8, of at most 255 bytes, that leads to no other folder,
-- is not hidden, is not a device name on Windows, is not taken for an option by a command, and
-- moves no cursor. A harmless name stays as it is. A name that had to be changed gets "~" and a
-- hash of the original before its extension, so that two files never become one: "plots/e.png" is
-- "plots_e~5f2c01ab.png", "plots_e.png" is itself.

local valid = require("qhub.error.text").valid

local filename = {}

local LONGEST = 255 -- bytes, on nearly all file systems
local LONGEST_EXTENSION = 32
local NAMELESS = "download"

-- Device names of Windows, with or without an extension:
-- https://learn.microsoft.com/windows/win32/fileio/naming-a-file
local DEVICES = { con = true, prn = true, aux = true, nul = true, ["conin$"] = true }
DEVICES["conout$"] = true
for _, digit in ipairs { "0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "¹", "²", "³" } do
  DEVICES["com" .. digit], DEVICES["lpt" .. digit] = true, true
end

-- What shows as nothing or turns what is around it (C1 controls, directions, zero widths, tags), as
-- patterns of its bytes in UTF-8.
local INVISIBLE = {
  "\x7F",
  "\xC2[\x80-\x9F\xAD]",
  "\xD8\x9C",
  "\xE2\x80[\x8B-\x8F\xA8-\xAE]",
  "\xE2\x81[\xA0-\xAF]",
  "\xEF\xBB\xBF",
  "\xEF\xBF[\xB9-\xBF]",
  "\xF3\xA0[\x80\x81][\x80-\xBF]",
}

-- `text` without what does not fit into `room` bytes; never cut inside a character.
local function cut(text, room)
  if #text <= room then return text end
  while room > 0 and text:byte(room + 1) & 0xC0 == 0x80 do
    room = room - 1
  end
  return text:sub(1, room)
end

-- `name` without anything that could do harm; "" when nothing is left.
local function harmless(name)
  local parts = {}
  for part in name:gmatch "[^/\\]+" do
    if not part:find "^%.+$" then parts[#parts + 1] = part end
  end
  name = valid(table.concat(parts, "_"), "_")
  for _, pattern in ipairs(INVISIBLE) do
    name = name:gsub(pattern, "_")
  end
  name = name:gsub('[\0-\31<>:"|?*]', "_"):gsub("^ +", ""):gsub("[ .]+$", ""):gsub("^[.-]", "_")
  local stem = name:match("^[^.]*"):gsub(" +$", ""):lower()
  if DEVICES[stem] then name = "_" .. name end
  return name
end

-- FNV-1a, 32 bits: names that are made alike by accident get different ones.
local function hash_of(name)
  local hash = 2166136261
  for index = 1, #name do
    hash = ((hash ~ name:byte(index)) * 16777619) & 0xFFFFFFFF
  end
  return ("%08x"):format(hash)
end

--- A safe file name made of `name` (any bytes). Folders become part of the name. A name of which
--- nothing is left is "download".
function filename.safe(name)
  local safe = harmless(name)
  -- A name that looks like a changed one is changed as well, so that it is not another's.
  if
    safe == name
    and name ~= ""
    and #name <= LONGEST
    and not name:find "~%x%x%x%x%x%x%x%x%f[.\0]"
  then
    return name
  end
  local stem, extension = safe:match "^(.+)(%.[^.]*)$"
  if not extension or #extension > LONGEST_EXTENSION then
    stem, extension = safe, ""
  end
  if stem == "" then stem = NAMELESS end
  local mark = "~" .. hash_of(name)
  return cut(stem, LONGEST - #extension - #mark) .. mark .. extension
end

return filename
