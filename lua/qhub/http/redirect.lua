-- Redirects by our own rules, above every transport: a pure function of a request and its response.
--
-- At most 20 hops. To another origin (scheme, host, port) goes nothing but the headers listed
-- below, and never a body: neither credentials nor a run's input leave the gateway's origin because
-- a response says so. https never goes to http. 307 and 308 repeat method and body, 303 becomes
-- GET, 301 and 302 are followed for GET only. Source: RFC 9110 15.4.

local core = require "qhub.core"

local text = core.text

local redirect = { MOST_HOPS = 20 }

local CARRIED = { "accept", "user-agent", "range", "if-range" }

local FOLLOWED = {
  [301] = "same method, GET only",
  [302] = "same method, GET only",
  [303] = "becomes GET",
  [307] = "same method and body",
  [308] = "same method and body",
}

--- True for a response that points elsewhere (whether it is followed or not).
function redirect.is_redirect(status_code)
  return FOLLOWED[status_code] ~= nil
end

-- Blanks and other than ASCII characters do not belong into a URL, but are met in `Location`.
local function encoded(location)
  return (
    location:gsub("[ \x80-\xff]", function(byte)
      return ("%%%02X"):format(byte:byte())
    end)
  )
end

--- What follows `request` (method, url, headers, body, hops, stream) after a response of
--- `status_code` with `location`; or nil and the reason why it is not followed.
function redirect.next(request, status_code, location)
  if request.hops >= redirect.MOST_HOPS then
    return nil, "more than " .. redirect.MOST_HOPS .. " redirects"
  end
  if not location or location == "" then return nil, "a redirect without Location" end
  local url, reason = text.resolve_url(request.url, encoded(location))
  local address = url and text.parse_url(url)
  if not address then
    return nil, "its Location is not a URL" .. (reason and ": " .. reason or "")
  end
  if address.scheme ~= "http" and address.scheme ~= "https" then
    return nil, "its Location is neither http nor https"
  end
  if address.userinfo then return nil, "its Location carries user info" end
  if request.url:lower():find("^https:") and address.scheme ~= "https" then
    return nil, "it leads from https to http"
  end
  local method, body = request.method, request.body
  if status_code == 303 then
    method, body = "GET", nil
  elseif (status_code == 301 or status_code == 302) and method ~= "GET" then
    return nil, "a " .. status_code .. " is followed for GET only"
  end
  local headers = {}
  if text.origin(url) == text.origin(request.url) then
    for name, value in pairs(request.headers) do
      headers[name] = value
    end
    if not body then headers["content-type"] = nil end
  else
    if body then return nil, "it would send the body to another origin" end
    for _, name in ipairs(CARRIED) do
      headers[name] = request.headers[name]
    end
    headers["accept-encoding"] = request.stream and "identity" or false
  end
  return {
    method = method,
    url = url:gsub("#.*$", ""),
    headers = headers,
    body = body,
    hops = request.hops + 1,
    stream = request.stream,
  }
end

return redirect
