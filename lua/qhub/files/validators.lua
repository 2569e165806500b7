-- Which version of a file is being read, and whether another response continues that one:
-- pure functions of headers, without network, state or clock.
--
-- Everything here errs on the side of an error: a response that cannot be shown to belong to the
-- bytes already known is refused. Sources: RFC 9110 8.8 (validators), 13.1.5 (If-Range), 14
-- (ranges), 15.3.7 (206), 15.5.17 (416). Two liberties, without which such files could not be
-- resumed at all: with a weak ETag, Last-Modified is used for If-Range although an entity tag is
-- there; and so is a date of the very second in which the response was made, because a result is
-- often fetched as soon as it exists. A gateway that then sends the whole file is not trusted.

local core = require "qhub.core"

local parse_http_date = core.text.parse_http_date

local validators = {}

local STRONG_AFTER = 1 -- seconds from which on a date is a strong validator

local OK, PARTIAL, UNSATISFIABLE = 200, 206, 416
validators.OK = OK

local function natural(text)
  return text and text:find "^%d+$" and math.tointeger(tonumber(text)) or nil
end

local function is_encoded(fields)
  local encoding = fields["content-encoding"]
  return encoding ~= nil and encoding:lower() ~= "identity"
end

-- The bytes that a response announces, as they are handed out; nil when it does not say.
local function announced(fields)
  if is_encoded(fields) or fields["transfer-encoding"] then return nil end
  return natural(fields["content-length"])
end

-- The value of If-Range under which a range may be asked for, or nil; and whether it is a date so
-- young that the file could change without another one (RFC 9110 8.8.2.2).
local function validator(fields)
  local etag, modified = fields.etag, fields["last-modified"]
  if etag and etag:find '^"[^"%c]+"$' then return etag, false end
  local changed_at = modified and parse_http_date(modified)
  local made_at = fields.date and parse_http_date(fields.date)
  if changed_at and (not made_at or made_at >= changed_at) then
    return modified, made_at ~= nil and made_at - changed_at < STRONG_AFTER
  end
  return nil, false
end

--- The version of the file that a response with the headers `fields` has: fields, validator (nil:
--- it cannot be resumed), is_young (it is a date of the second of the response), size (nil:
--- unknown), is_encoded (sizes and ranges on the wire are not those of the bytes handed out).
function validators.version(fields)
  local value, is_young = validator(fields)
  return {
    fields = fields,
    validator = value,
    is_young = is_young,
    size = announced(fields),
    is_encoded = is_encoded(fields),
  }
end

--- The headers to ask for what follows `position` of `version`. None for an encoded file: its
--- ranges would be of the encoded bytes, so it is read again from the start.
function validators.request_headers(version, position)
  if version.is_encoded then return {} end
  return { range = ("bytes=%d-"):format(position), ["if-range"] = version.validator }
end

-- How `fields` compare with a version: "same" by its validator, "alike" by what does not prove it,
-- "other"; or nil when they have nothing in common to compare.
local function likeness(version, fields)
  local etag, modified = fields.etag, fields["last-modified"]
  local known_etag, known_date = version.fields.etag, version.fields["last-modified"]
  if etag and etag == version.validator then
    return "same"
  elseif etag and known_etag and etag ~= known_etag then
    return "other"
  elseif not (modified and known_date) then
    return etag and known_etag and "alike" or nil
  elseif modified ~= known_date then
    return "other"
  end
  return modified == version.validator and not version.is_young and "same" or "alike"
end

local CHANGED = "the file changed on the gateway while it was read"

-- The first byte, the last byte and the complete size in a Content-Range; nil for none.
local function content_range(fields)
  local value = (fields["content-range"] or ""):lower():gsub("%*/", "-/")
  local first, last, total = value:match "^%s*bytes%s+(%d*)%-(%d*)/([%d*]+)%s*$"
  return natural(first), natural(last), natural(total)
end

local judges = {}

judges[PARTIAL] = function(version, position, fields, alike)
  local first, last, total = content_range(fields)
  local size, length = position > 0 and version.size or total, announced(fields)
  if not alike then
    -- RFC 9110 15.3.7: the validator that the whole would have must be there.
    return nil, "a partial response without ETag or Last-Modified does not say which version it has"
  elseif is_encoded(fields) then
    return nil, "the partial response is encoded, so its range does not count the file's bytes"
  elseif (fields["content-type"] or ""):lower():find "^%s*multipart/byteranges" then
    return nil, "one range was requested, the response has several"
  elseif not (first and last and first <= last) then
    return nil, "a partial response without a valid Content-Range"
  elseif first ~= position then
    return nil, ("bytes from %d on were requested, it begins at %d"):format(position, first)
  elseif not size then
    return nil, "a partial response that does not give the size of the whole file"
  elseif total and total ~= size then
    return nil, ("%s: it had %d bytes, now %d"):format(CHANGED, size, total)
  elseif last >= size then
    return nil, "the response continues beyond the end of the file"
  elseif length and length ~= last - first + 1 then
    return nil, ("the response has %d bytes, its range %d"):format(length, last - first + 1)
  end
  return "continue", size, last + 1
end

judges[OK] = function(version, position, fields, alike)
  if alike ~= "same" then
    return nil, "the response has the whole file and does not say whether it is still the same"
  end
  local size, expected = announced(fields), version.size or position
  if size and (version.size and size ~= version.size or size < position) then
    return nil, ("%s: %d bytes were expected, now it has %d"):format(CHANGED, expected, size)
  end
  return "skip", size or version.size
end

-- Past the end of the file: right when all bytes had arrived and only the end was missing.
judges[UNSATISFIABLE] = function(version, position, fields)
  local _, _, total = content_range(fields)
  if not total then return nil, ("the gateway has nothing after byte %d"):format(position) end
  if total == position and (version.size or total) == total then return "complete", total end
  return nil, ("%s: it ends at byte %d, %d were read"):format(CHANGED, total, position)
end

--- What a response is to a request for what follows `position` of `version`; at 0 that is the
--- version of the response itself. Returns a judgement, the size of the file (nil: unknown) and
--- where the response's bytes end (nil: not given):
---   "continue"   its first byte is the one at `position`
---   "skip"       the whole file of the same version: `position` bytes come before what is wanted
---   "complete"   there is nothing after `position`
--- or nil and why it must not be used.
function validators.judge(version, position, status_code, fields)
  local judge, alike = judges[status_code], likeness(version, fields)
  if position == 0 then
    if status_code == PARTIAL then return judge(version, 0, fields, "same") end
    return "continue", version.size
  elseif not judge then
    return nil, ("the rest of the file was requested, the response is %d"):format(status_code)
  elseif alike == "other" then
    return nil, CHANGED
  end
  return judge(version, position, fields, alike)
end

return validators
