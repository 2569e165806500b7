-- Runs qhub.json over the files of JSONTestSuite, each in a process of its own.
--
--   lua5.4 scripts/conformance/json_suite.lua FOLDER
--   lua5.4 scripts/conformance/json_suite.lua --one FILE    exit 0: accepted, 3: refused
--
-- The first letter of a name says what a parser must do: y accept, n refuse, i as it likes. What
-- qhub likes is in the table below. Files that begin otherwise are from the suite's second part:
-- they must be accepted, and come out again as what they were.

local json = require("qhub").json

local function text_of(path)
  local file <close> = assert(io.open(path, "rb"))
  return file:read "a"
end

local function same(one, other)
  if type(one) ~= "table" or type(other) ~= "table" then
    return one == other and math.type(one) == math.type(other)
  end
  for key, value in pairs(one) do
    if not same(value, other[key]) then return false end
  end
  for key in pairs(other) do
    if one[key] == nil then return false end
  end
  return true
end

if arg[1] == "--one" then
  local value, err = json.decode(text_of(arg[2]))
  if value == nil then
    assert(err.kind == "decode" and #err.message > 0 and #err.message < 300, err)
    os.exit(3, true)
  end
  assert(same(value, (json.decode(json.encode(value)))), "another value after a round trip")
  os.exit(0, true)
end

-- Decided: what RFC 8259 leaves open. The package's text is Unicode, so bytes that are no UTF-8
-- have become U+FFFD in it, which is a character like others; the invalid bytes come below.
local DECIDED = {
  i_number_double_huge_neg_exp = true, -- becomes 0.0
  i_number_huge_exp = false, -- beyond a double: would become infinite
  i_number_neg_int_huge_exp = false,
  i_number_pos_double_huge_exp = false,
  i_number_real_neg_overflow = false,
  i_number_real_pos_overflow = false,
  i_number_real_underflow = true, -- becomes 0.0
  i_number_too_big_neg_int = true, -- beyond 64 bits: the nearest float
  i_number_too_big_pos_int = true,
  i_number_very_big_negative_int = true,
  i_object_key_lone_2nd_surrogate = false, -- a lone surrogate has no UTF-8
  i_string_1st_surrogate_but_2nd_missing = false,
  i_string_1st_valid_surrogate_2nd_invalid = false,
  ["i_string_UTF-16LE_with_BOM"] = false, -- UTF-8 only
  ["i_string_UTF-8_invalid_sequence"] = true,
  i_string_UTF8_surrogate_U = true,
  ["i_string_UTF8_surrogate_U+D800"] = true,
  i_string_incomplete_surrogate_and_escape_valid = false,
  i_string_incomplete_surrogate_pair = false,
  i_string_incomplete_surrogates_escape_valid = false,
  i_string_invalid_lonely_surrogate = false,
  i_string_invalid_surrogate = false,
  ["i_string_invalid_utf-8"] = true,
  i_string_inverted_surrogates_U = false,
  ["i_string_inverted_surrogates_U+1D11E"] = false,
  i_string_iso_latin_1 = true,
  i_string_lone_second_surrogate = false,
  i_string_lone_utf8_continuation_byte = true,
  i_string_not_in_unicode_range = true,
  i_string_overlong_sequence_2_bytes = true,
  i_string_overlong_sequence_6_bytes = true,
  i_string_overlong_sequence_6_bytes_null = true,
  i_string_truncated_utf_8 = true,
  ["i_string_truncated-utf-8"] = true,
  i_string_utf16BE_no_BOM = false,
  i_string_utf16LE_no_BOM = false,
  i_structure_500_nested_arrays = true, -- the bound is 1000
  ["i_structure_UTF-8_BOM_empty_object"] = false, -- a mark is no white space
}
-- Of the second part: strings of lone surrogates, and what is U+FFFD there instead of bytes.
local REFUSED = { "escaped_invalid_codepoint" }

local folder = assert(arg[1], "the folder of the suite")
local failures, count = {}, 0

local function run(path)
  local command = ("'%s' scripts/conformance/json_suite.lua --one '%s'"):format(arg[-1], path)
  local _, how, status = os.execute(command)
  if how == "exit" and (status == 0 or status == 3) then return status == 0 end
  return how .. " " .. status
end

local function check(path, name, expected)
  count = count + 1
  local got = run(path)
  if got ~= expected then
    failures[#failures + 1] = ("%s: %s, not %s"):format(name, tostring(got), tostring(expected))
  end
end

local function expected_of(name)
  if name:find "^[yn]_" then
    return name:find "^y" ~= nil
  elseif name:find "^i_" then
    return DECIDED[name]
  end
  for _, part in ipairs(REFUSED) do
    if name:find(part, 1, true) then return false end
  end
  return true
end

for path in assert(io.popen(("ls -d '%s'/*.json"):format(folder))):lines() do
  local name = path:match "([^/]+)%.json$"
  check(path, name, expected_of(name))
  local text = text_of(path)
  if text:find "\u{FFFD}" then
    -- The bytes that the package lost: each place invalid, in some of the ways there are.
    for _, bytes in ipairs {
      "\xff",
      "\x80",
      "\xc0\x80",
      "\xed\xa0\x80",
      "\xe0\x9f",
      "\xf4\x90\x80\x80",
    } do
      local changed = os.tmpname()
      local file = assert(io.open(changed, "wb"))
      file:write((text:gsub("\u{FFFD}", bytes)))
      file:close()
      check(changed, name .. " with invalid bytes", false)
      os.remove(changed)
    end
  end
end

for _, line in ipairs(failures) do
  print("FAILED " .. line)
end
print(("JSONTestSuite: %d texts, %d failed"):format(count, #failures))
os.exit(#failures == 0 and count > 300, true)
