-- A certificate of the simulator's own, made anew at every start.
--
-- Responsible for: the server's SSL context and the file by which clients come to trust it. The
-- key is an elliptic curve's, because making an RSA key takes longer than all the rest of a start.

local context = require "openssl.ssl.context"
local name = require "openssl.x509.name"
local altname = require "openssl.x509.altname"
local extension = require "openssl.x509.extension"
local pkey = require "openssl.pkey"
local x509 = require "openssl.x509"

local tls = {}

-- Returns an SSL context and the certificate as PEM text. Options: `expired`, and `host` in place
-- of localhost and 127.0.0.1.
function tls.make(options)
  local key = pkey.new { type = "EC", curve = "prime256v1" }
  local subject = name.new():add("CN", options.host or "localhost")
  local names = altname.new():add("DNS", options.host or "localhost")
  if not options.host then
    names:add("IP", "127.0.0.1")
  end
  local certificate = x509.new()
  local now = os.time()
  certificate:setVersion(3)
  certificate:setSerial(now)
  certificate:setSubject(subject)
  certificate:setIssuer(subject)
  certificate:setSubjectAlt(names)
  certificate:setLifetime(now - 7 * 86400, options.expired and now - 86400 or now + 7 * 86400)
  certificate:setBasicConstraints { CA = true }
  certificate:setBasicConstraintsCritical(true)
  certificate:addExtension(extension.new("extendedKeyUsage", "serverAuth"))
  certificate:setPublicKey(key)
  certificate:sign(key)
  local ssl = context.new("TLS", true)
  ssl:setPrivateKey(key)
  ssl:setCertificate(certificate)
  return ssl, certificate:toPEM()
end

return tls
