-- The engine of qhub.core over TLS, with HTTP/2: nginx stands before the raw server.

local bench = require "spec.support.engine_bench"
local nginx = require "spec.support.nginx"

local start, finish, fetch, drain = bench.start, bench.finish, bench.fetch, bench.drain
local body_of, failure_of = bench.body_of, bench.failure_of

describe("core.engine over TLS #process", function()
  local front, engine, session

  setup(function()
    local server = bench.start_server()
    front = nginx.start { port = server.port, url = server.url .. "/" }
  end)

  teardown(function()
    front:stop()
    bench.stop_server()
  end)

  before_each(function()
    engine = bench.open()
    session = engine:session { ca_file = front.ca_file }
  end)

  after_each(bench.close)

  local function fetch_front(path, changes, from)
    return fetch(front.origin .. path, changes, from or session)
  end

  it("uses HTTP/2 where it is offered, and HTTP/1.1 when configured", function()
    assert.equal("HTTP/2.0", fetch_front("/ok"):headers()["x-protocol"])
    local old = engine:session { ca_file = front.ca_file, http_version = "1.1" }
    assert.equal("HTTP/1.1", fetch_front("/ok", nil, old):headers()["x-protocol"])
    local new = engine:session { ca_file = front.ca_file, http_version = "2" }
    assert.equal("HTTP/2.0", fetch_front("/ok", nil, new):headers()["x-protocol"])
  end)

  it("runs many transfers over one connection", function()
    local transfers = {}
    for i = 1, 100 do
      transfers[i] = start(front.origin .. "/later?ms=10", nil, session)
    end
    local number
    for _, transfer in ipairs(transfers) do
      assert.equal("later", body_of(finish(transfer)))
      local connection = transfer:headers()["x-connection"]
      assert.is_string(connection)
      number = number or connection
      assert.equal(number, connection)
    end
  end)

  it("sends bodies and receives large responses", function()
    local body = ("x"):rep(3000000)
    local transfer = fetch_front("/echo", { method = "POST", body = body })
    assert.is_true(body_of(transfer):sub(-#body) == body)
    assert.equal(5000000, #body_of(fetch_front("/bytes?n=5000000")))
  end)

  it("streams without stopping the others when one is not read", function()
    local stopped = start(front.origin .. "/bytes?n=20000000", { stream = 65536 }, session)
    for _ = 1, 10 do
      assert.equal("ok", body_of(fetch_front("/ok")))
    end
    assert.equal("open", stopped:state())
    local held = #stopped:read(20000000)
    assert.is_true(held < 1000000)
    assert.equal(20000000, held + #drain(stopped))
    assert.is_nil((stopped:failure()))
  end)

  it("reports a stream that breaks off", function()
    local transfer = fetch_front "/truncate"
    assert.equal(("x"):rep(50), body_of(transfer))
    assert.equal("network", failure_of(transfer).kind)
    assert.is_false(failure_of(transfer).details.stale)
    assert.equal("ok", body_of(fetch_front("/ok")))
  end)

  it("trusts no unknown authority unless verification is off", function()
    local strict = engine:session {}
    local failure = failure_of(fetch_front("/ok", nil, strict))
    assert.equal("network", failure.kind)
    assert.equal(60, failure.details.code)
    assert.is_false(failure.details.sent)
    assert.truthy(failure.message:find "certificate")
    local careless = engine:session { verify = false }
    assert.equal("ok", body_of(fetch_front("/ok", nil, careless)))
    failure = failure_of(fetch_front("/ok", nil, strict))
    assert.equal(60, failure.details.code)
  end)

  it("trusts only the given authorities", function()
    local path = os.tmpname()
    assert(
      os.execute(
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes"
          .. " -days 2 -subj /CN=other -keyout /dev/null -out "
          .. path
          .. " 2>/dev/null"
      )
    )
    local other = engine:session { ca_file = path }
    local failure = failure_of(fetch_front("/ok", nil, other))
    os.remove(path)
    assert.equal(60, failure.details.code)
  end)

  it("names a certificate file that cannot be read", function()
    local broken = engine:session { ca_file = "/nonexistent/ca.pem" }
    local failure = failure_of(fetch_front("/ok", nil, broken))
    assert.equal("network", failure.kind)
    assert.truthy(failure.message:find("/nonexistent/ca.pem", 1, true))
  end)
end)
