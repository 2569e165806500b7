-- Writing a response, whole or broken on purpose.
--
-- Responsible for: framing of responses and the faults that concern bytes on the wire (truncation,
-- silence, drip, reset, garbage). Faults that concern meaning are in faults.lua. A response is
-- { status, headers = { name = value }, body = string or source, chunked = bool }; a source is
-- { length, piece = function(offset, most) -> string, first, last }.

local cqueues = require "cqueues"
local errno = require "cqueues.errno"

local STREAM_BUFFER = 256 * 1024

local reasons = {
  [100] = "Continue",
  [103] = "Early Hints",
  [200] = "OK",
  [201] = "Created",
  [202] = "Accepted",
  [204] = "No Content",
  [206] = "Partial Content",
  [301] = "Moved Permanently",
  [302] = "Found",
  [303] = "See Other",
  [304] = "Not Modified",
  [307] = "Temporary Redirect",
  [308] = "Permanent Redirect",
  [400] = "Bad Request",
  [401] = "Unauthorized",
  [403] = "Forbidden",
  [404] = "Not Found",
  [405] = "Method Not Allowed",
  [408] = "Request Timeout",
  [409] = "Conflict",
  [413] = "Content Too Large",
  [416] = "Range Not Satisfiable",
  [429] = "Too Many Requests",
  [431] = "Request Header Fields Too Large",
  [500] = "Internal Server Error",
  [502] = "Bad Gateway",
  [503] = "Service Unavailable",
  [504] = "Gateway Timeout",
}

local reply = {}

-- Sends bytes `first` to `last` of a string. Mode "bf" gathers them in a buffer, "bn" sends what
-- has been gathered. Returns false when the peer is gone.
function reply.write(connection, text, first, last, mode)
  local socket = connection.socket
  first, last = first or 1, last or #text
  while true do
    local count, why = socket:send(text, first, last, mode or "bn")
    if not why then
      return true
    elseif why ~= errno.EAGAIN then
      return false
    end
    first = first + count
    cqueues.poll(socket)
  end
end

-- Refuses what is not a request at all; the connection ends after it.
function reply.refuse(connection, status)
  local reason = reasons[status] or "Error"
  local form = "HTTP/1.1 %d %s\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
  reply.write(connection, form:format(status, reason))
end

local function head_lines(lines, headers)
  for name, value in pairs(headers) do
    if type(value) == "table" then
      for _, one in ipairs(value) do
        lines[#lines + 1] = name .. ": " .. one
      end
    else
      lines[#lines + 1] = name .. ": " .. tostring(value)
    end
  end
end

local function length_of(body)
  return type(body) == "string" and #body or body.length
end

local function piece_of(body, offset, most)
  if type(body) == "string" then return body, offset + 1, math.min(#body, offset + most) end
  return body.piece(offset, most)
end

-- Where the body is to break: the number of body bytes sent before, and what happens then.
local function breaking_point(fault, length, random)
  if fault.truncate then
    return fault.truncate, "close"
  elseif fault.reset then
    return type(fault.reset) == "number" and fault.reset or 0, "reset"
  elseif fault.hang == "body" then
    return fault.after or 0, "hang"
  elseif fault.random_break then
    local at = random(1, fault.random_break)
    if at < length then return at, "close" end
  end
  return length, nil
end

local function send_body(connection, body, count, fault, chunked)
  local drip = fault.drip
  local most = drip and (drip.bytes or 1) or STREAM_BUFFER
  local mode = drip and "bn" or "bf"
  if not drip and count > STREAM_BUFFER then connection.socket:setbufsiz(nil, STREAM_BUFFER) end
  local offset = 0
  while offset < count do
    local text, first, last = piece_of(body, offset, math.min(most, count - offset))
    last = math.min(last, first + count - offset - 1)
    local size = last - first + 1
    if chunked then
      text = string.format("%x\r\n%s\r\n", size, text:sub(first, last))
      first, last = 1, #text
    end
    if not reply.write(connection, text, first, last, mode) then return false end
    offset = offset + size
    if drip then cqueues.sleep((drip.ms or 1) / 1000) end
    connection.server.activity = cqueues.monotime()
  end
  return true
end

-- What comes before the body, as text.
local function head_text(response, length, chunked, until_close, keep_alive)
  local reason = response.reason or reasons[response.status] or "Unknown"
  local lines = { "HTTP/1.1 " .. response.status .. " " .. reason }
  head_lines(lines, response.headers)
  if chunked then
    lines[#lines + 1] = "Transfer-Encoding: chunked"
  elseif not until_close and response.status ~= 204 and response.status ~= 304 then
    lines[#lines + 1] = "Content-Length: " .. length
  end
  if not keep_alive then lines[#lines + 1] = "Connection: close" end
  lines[#lines + 1] = "\r\n"
  return table.concat(lines, "\r\n")
end

local function early(connection, interim)
  for _, status in ipairs(type(interim) == "table" and interim or { 103 }) do
    local form = 'HTTP/1.1 %d %s\r\nX-Interim: yes\r\nETag: "interim"\r\n\r\n'
    reply.write(connection, form:format(status, reasons[status] or "Interim"))
  end
end

local function drip_text(connection, text, drip)
  for at = 1, #text, drip.bytes or 1 do
    local last = math.min(#text, at + (drip.bytes or 1) - 1)
    if not reply.write(connection, text, at, last) then return false end
    cqueues.sleep((drip.ms or 1) / 1000)
  end
  return true
end

-- Faults that end the connection before any byte of a response. Returns whether there was one.
local function silence(connection, fault)
  if fault.hang == "headers" then
    connection:wait_for_close(fault.seconds or 3600)
  elseif fault.garbage then
    local junk = type(fault.garbage) == "string" and fault.garbage
    reply.write(connection, junk or "\0\255\1SSH-2.0-this is no HTTP\r\n\r\n\0\0\0")
  elseif fault.reset ~= "headers" and not fault.close_after_request then
    return false
  end
  return true
end

-- Sends one response; returns whether the connection may carry another request.
function reply.send(connection, request, response, fault)
  local body = response.body or ""
  if request.method == "HEAD" then
    local length = length_of(body)
    local text = head_text(response, length, false, false, request.keep_alive)
    return reply.write(connection, text) and request.keep_alive
  elseif not fault and type(body) == "string" and not response.chunked then
    local text = head_text(response, #body, false, false, request.keep_alive)
    return reply.write(connection, text .. body) and request.keep_alive
  end
  fault = fault or {}
  if silence(connection, fault) then return false end
  local length = length_of(body)
  local stop, ending = breaking_point(fault, length, connection.server.random)
  local chunked = response.chunked or fault.chunked
  local says_close = not request.keep_alive or fault.close or fault.until_close
  local keep_alive = not says_close and not ending and not fault.drop
  if fault.interim then early(connection, fault.interim) end
  local text = head_text(response, length, chunked, fault.until_close, not says_close)
  local sent
  if fault.drip and fault.drip.head then
    sent = drip_text(connection, text, fault.drip)
  else
    sent = reply.write(connection, text, 1, #text, length > 0 and "bf" or "bn")
  end
  sent = sent and send_body(connection, body, math.min(stop, length), fault, chunked)
  if sent and chunked and not ending then
    local trailers = fault.trailers and "X-Trailer: late\r\n" or ""
    sent = reply.write(connection, "0\r\n" .. trailers .. "\r\n")
  end
  sent = sent and reply.write(connection, "", 1, 0)
  if sent and ending == "hang" then
    connection:wait_for_close(fault.seconds or 3600)
  elseif sent and ending == "reset" and stop > 0 then
    cqueues.sleep(0.02) -- RST throws away what the kernel has not sent yet
  end
  return sent and keep_alive
end

return reply
