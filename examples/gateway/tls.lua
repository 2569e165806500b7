-- A certificate of the simulator's own, made anew at every start.
--
-- Responsible for: the server's SSL context and the file by which clients come to trust it. The
-- key is an elliptic curve's, because making an RSA key takes longer than all the rest of a start.

local context = require "openssl.ssl.context"
local name = require "openssl.x509.name"
local altname = require "openssl.x509.altname"
local extension = require "openssl.x509.extension"
local pkey = require "openssl.pkey"
require "openssl.x509.store" -- the methods of what getStore() returns
local x509 = require "openssl.x509"

local tls = {}

-- A self-signed certificate and its key. Options: `expired`; `host`, `usage`.
local function certify(options)
  local key = pkey.new { type = "EC", curve = "prime256v1" }
  local subject = name.new():add("CN", options.host or "localhost")
  local names = altname.new():add("DNS", options.host or "localhost")
  if not options.host then names:add("IP", "127.0.0.1") end
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
  certificate:addExtension(extension.new("extendedKeyUsage", options.usage))
  certificate:setPublicKey(key)
  certificate:sign(key)
  return certificate, key
end

-- Returns an SSL context and the server's certificate as PEM text. Options: `expired`; `host` in
-- place of localhost and 127.0.0.1; `client_cert`: a third and a fourth result are the certificate
-- and the key, as PEM text, of the only client that is let in.
function tls.make(options)
  local usage = "serverAuth"
  local certificate, key = certify { expired = options.expired, host = options.host, usage = usage }
  local ssl = context.new("TLS", true)
  ssl:setPrivateKey(key)
  ssl:setCertificate(certificate)
  if not options.client_cert then return ssl, tostring(certificate) end
  local client, client_key = certify { host = "client", usage = "clientAuth" }
  ssl:getStore():add(client)
  ssl:setVerify(context.VERIFY_PEER | context.VERIFY_FAIL_IF_NO_PEER_CERT)
  return ssl, tostring(certificate), tostring(client), client_key:toPEM "private"
end

return tls
