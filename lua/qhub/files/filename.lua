-- Makes a name that somebody else chose into one that is safe for a file in a folder: a pure
-- function, the same on every system, so that a program's files are named alike everywhere.
--
-- What comes out is one name of valid UTF-8, of at most 255 bytes, that leads to no other folder,
-- is not hidden, is not taken for an option by a command, and moves no cursor. A harmless name
-- stays as it is. A name that had to be changed gets "~" and a hash of the original before its
-- extension, so that two files never become one: "plots/e.png" is "plots_e~5f2c01ab.png",
-- "plots_e.png" is itself.

local text = require "qhub.error.text"

local filename = {}

local LONGEST = 255 -- bytes, on nearly all file systems
local LONGEST_EXTENSION = 32
local NAMELESS = "download"

-- `name` without anything that could do harm; "" when nothing is left.
local function harmless(name)
  local parts = {}
  for part in name:gmatch "[^/\\]+" do
    if not part:find "^%.+$" then parts[#parts + 1] = part end
  end
  name = table.concat(parts, "_"):gsub("[^ ]+", function(word) -- blanks in a row stay
    return text.line(word, 4 * LONGEST)
  end)
  return (name:gsub('[<>:"|?*]', "_"):gsub("^ +", ""):gsub("[ .]+$", ""):gsub("^[.-]", "_"))
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
  local is_marked = name:find "~%x%x%x%x%x%x%x%x%f[.\0]" ~= nil
  if safe == name and name ~= "" and #name <= LONGEST and not is_marked then return name end
  local stem, extension = safe:match "^(.+)(%.[^.]*)$"
  if not extension or #extension > LONGEST_EXTENSION then
    stem, extension = safe, ""
  end
  if stem == "" then stem = NAMELESS end
  local mark = "~" .. hash_of(name)
  local room = LONGEST - #extension - #mark
  -- Not in the midst of a character.
  if #stem > room then stem = stem:sub(1, utf8.offset(stem, 0, room + 1) - 1) end
  return stem .. mark .. extension
end

return filename
