-- Redirects by our own rules, above every transport: a pure function of a request and its response.
--
-- To another origin (scheme, host, port) goes nothing but the headers listed below, and never a
-- body: neither credentials nor a run's input leave the gateway's origin because a response says
-- so. https never goes to http. 307 and 308 repeat method and body, 303 becomes GET, 301 and 302
-- are followed for GET only. Source: RFC 9110 15.4.

local core = require "qhub.core"
local headers = require "qhub.http.headers"

local text = core.text

-- The status of a redirect, whether it is followed or not.
local redirect =
  { STATUSES = { [301] = true, [302] = true, [303] = true, [307] = true, [308] = true } }

local CARRIED = { "accept", "user-agent", "range", "if-range" }

-- The URL to which `location` leads from `url`; or nil and the reason why it is not followed.
-- The third result is whether that is of the same origin.
local function target(url, location)
  if not location or location == "" then return nil, "a redirect without Location" end
  local resolved, reason = text.resolve_url(url, location)
  if not resolved then return nil, "its Location is not a URL: " .. reason end
  local scheme, host, port = text.parse_url(resolved)
  local from_scheme, from_host, from_port = text.parse_url(url)
  if scheme ~= "http" and scheme ~= "https" then
    return nil, "its Location is neither http nor https"
  elseif resolved:find "^[^/]*//[^/?#]*@" then
    return nil, "its Location carries user info"
  elseif from_scheme == "https" and scheme ~= "https" then
    return nil, "it leads from https to http"
  end
  return resolved, nil, scheme == from_scheme and host == from_host and port == from_port
end

--- What follows `hop` (request, url, body: see attempts.lua) after a response of `status_code` with
--- `location`: another hop; or nil and the reason why it is not followed.
function redirect.next(hop, status_code, location)
  local url, reason, is_same_origin = target(hop.url, location)
  if not url then return nil, reason end
  local request, body = hop.request, hop.body
  local method, fields, authorize =
    request.method, headers.merged(request.fields), request.authorize
  if status_code == 303 then
    method, body = "GET", nil
  elseif (status_code == 301 or status_code == 302) and method ~= "GET" then
    return nil, "a " .. status_code .. " is followed for GET only"
  end
  if not is_same_origin then
    if body then return nil, "it would send the body to another origin" end
    authorize = false
    fields = { ["accept-encoding"] = request.stream and "identity" or false }
    for _, name in ipairs(CARRIED) do
      fields[name] = request.fields[name]
    end
  elseif not body then
    fields["content-type"] = nil
  end
  return {
    request = request:with {
      method = method,
      fields = fields,
      authorize = authorize,
      -- After a 303 the request was taken; what it points to is asked for as often as need be.
      repeatable = request.repeatable or method == "GET",
    },
    url = url,
    body = body,
  }
end

return redirect
