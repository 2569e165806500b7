-- What goes wrong before a request is on its way: names, connections, TLS. The request surely never
-- left, so that even a start is tried again.

local calls = require "spec.support.calls"
local client_of = require "spec.support.client_of"
local gateway = require "spec.support.gateway"
local loop = require "qhub.tasks.loop"
local process = require "spec.support.process"
local qhub = require "qhub"
local scripted = require "spec.support.scripted"
local shared = require "spec.support.shared"
local trial = require "spec.support.trial"

-- A socket of this machine that takes no more connections: its backlog is none, and full. (Neither
-- Lua's socket libraries nor a shell can make one; perl is part of every Debian.)
local FULL_PORT = [[perl -MSocket -MFcntl -e '
  socket(my $server, PF_INET, SOCK_STREAM, 0) or die;
  bind($server, sockaddr_in(0, INADDR_LOOPBACK)) or die;
  listen($server, 0) or die;
  my $name = getsockname($server);
  my @clients = map {
    socket(my $client, PF_INET, SOCK_STREAM, 0) or die;
    fcntl($client, F_SETFL, O_NONBLOCK);
    connect($client, $name);
    $client
  } 1 .. 4;
  $| = 1;
  print "READY ", (sockaddr_in($name))[0], "\n";
  sleep 60;']]

local PATIENCE = 0.06 -- seconds for a connection that never comes

-- Tries each operation at `url`, where no request gets through: an error of `kind`, everything
-- tried again, nothing sent. Returns the message of the last error.
local function nowhere(url, kind, options)
  local _ <close> = trial.at_once()
  local before, message
  for round = 0, #calls do
    local call = calls[math.max(round, 1)]
    do
      local client <close> = client_of({ url = url }, { max_retries = 2 }, options)
      local value, err = call.invoke(client)
      assert.is_nil(value)
      assert.equal(kind, err.kind, tostring(err))
      assert.equal("connect", err.phase)
      assert.is_false(err.sent)
      assert.equal(3, err.attempts)
      assert.is_nil(err.status_code)
      message = err.message
    end
    before = before or trial.descriptors() -- the first round is for warming up
  end
  assert.equal(before, trial.descriptors())
  return message
end

describe("a connection", function()
  it("to a host that does not exist is a network error, and every operation is retried", function()
    assert.matches("no%-such%-host", nowhere("http://no-such-host.invalid/svc/v1", "network"))
  end)

  it("that is refused is a network error, and every operation is retried", function()
    local gone = scripted.start()
    gone:stop()
    assert.matches("[Rr]efused", nowhere(gone.url, "network"))
  end)

  it("that is not accepted times out, and every operation is retried #timing", function()
    local full = process.start(FULL_PORT)
    local url = "http://127.0.0.1:" .. full.words[1] .. "/svc/v1"
    nowhere(url, "timeout", { http = { connect_timeout = PATIENCE } })
    full:close()
  end)

  it(
    "is waited for no longer than `timeout`, and no longer than `connect_timeout` #timing",
    function()
      local full = process.start(FULL_PORT)
      local url = "http://127.0.0.1:" .. full.words[1] .. "/svc/v1"
      for _, options in ipairs {
        { timeout = 0.15 },
        { timeout = 30, http = { connect_timeout = 0.15 } },
        { total_timeout = 0.15 },
      } do
        options.base_url, options.token, options.max_retries = url, "tok-en", 0
        local client <close> = qhub.HubServiceClient(options)
        local began = loop.now()
        local _, err = client:get_status "x"
        local seconds = loop.now() - began
        assert.equal("timeout", err.kind)
        assert.equal(options.total_timeout and "total" or "connect", err.phase)
        assert.is_true(seconds >= 0.15 and seconds < 2, seconds)
      end
      full:close()
    end
  )
end)

describe("a TLS connection", function()
  local plain = shared(scripted.start)
  local certified = shared(scripted.start, { tls = true })
  local url
  local http -- to load the system's authorities takes 50 ms each time

  setup(function()
    url = plain.url:gsub("^http:", "https:")
    http = { ca_file = certified.ca_file }
  end)

  -- Tries it with a simulator; nothing may get through. Returns the message.
  local function with_gateway(arguments, changes)
    local simulator <close> = gateway.start(arguments)
    local settings = { ca_file = simulator.ca_file }
    for name, value in pairs(changes or {}) do
      settings[name] = value
    end
    local message = nowhere(simulator.url, "network", { http = settings })
    assert.equal(0, simulator:requests().total)
    return message
  end

  it("to a server with an untrusted certificate fails, and says what to do", function()
    assert.matches("http%.ca_file", with_gateway({ "--tls" }, http))
  end)

  it("to a server with an expired certificate fails, and says so", function()
    local message = with_gateway { "--tls", "--expired" }
    assert.matches("expired", message)
    assert.is_nil(message:find("ca_file", 1, true))
  end)

  it("to a server with a certificate for another name fails, and says so", function()
    local message = with_gateway { "--tls", "--host", "other.example" }
    assert.matches("name", message)
    assert.is_nil(message:find("ca_file", 1, true))
  end)

  it("with an invalid CA file fails, and names the option", function()
    assert.matches("http%.ca_file", with_gateway({ "--tls" }, { ca_file = "/nonexistent" }))
    assert.matches("http%.ca_file", with_gateway({ "--tls" }, { ca_file = "Makefile" }))
  end)

  it("with an invalid client certificate fails, and names the option", function()
    local message = with_gateway({ "--tls" }, { client_cert = "/nonexistent" })
    assert.matches("http%.client_cert", message)
  end)

  it("to a server that speaks plain HTTP fails", function()
    local bytes = "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"
    plain:play { { accept = true }, bytes }
    nowhere(url, "network", { http = http })
  end)

  it("that is closed in the handshake fails", function()
    plain:play { { accept = true } }
    nowhere(url, "network", { http = http })
  end)

  it("that goes silent in the handshake times out #timing", function()
    plain:play { { accept = true }, { hang = true } }
    nowhere(url, "timeout", { timeout = PATIENCE, http = http })
  end)

  it("fails like any other connection when a response breaks off", function()
    local head = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n"
    trial.all(certified, { { "HTTP/1.1 2" } }, trial.unanswered "network", { http = http })
    trial.all(certified, { { head .. "[1," } }, trial.broken("network", 3), { http = http })
  end)

  it("is required by the server: a plain request fails, and a start counts as sent", function()
    local _ <close> = trial.at_once()
    certified:play {}
    local client <close> = qhub.HubServiceClient {
      base_url = certified.url:gsub("^https:", "http:"),
      token = "tok-en",
    }
    for _, call in ipairs { calls.get_status, calls.start_execution } do
      local _, err = call.invoke(client)
      assert.equal("network", err.kind)
      assert.is_true(err.sent)
      assert.equal(call.repeatable and 3 or 1, err.attempts)
    end
    assert.same({}, certified:requests())
  end)
end)
