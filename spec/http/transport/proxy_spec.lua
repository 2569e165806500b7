-- Proxies: which are refused, what failures call them, and that none shows its password.

local process = require "spec.support.process"
local proxy = require "qhub.http.transport.proxy"
local qhub = require "qhub"

local PASSWORD = "Pa55MARKER"

local GOOD = {
  "proxy.example",
  "proxy.example:3128",
  "127.0.0.1:1",
  "[::1]:3128",
  "http://proxy:3128",
  "http://proxy:3128/",
  "HTTP://proxy:3128",
  "https://proxy",
  "socks4://proxy:1080",
  "socks4a://proxy",
  "socks5://proxy",
  "socks5h://proxy",
  "http://user:Pa55MARKER@proxy:3128",
  "http://user@proxy:3128",
  "user:Pa55MARKER@proxy:3128",
  "http://us%20er:Pa55MARKER%2F%40@proxy:3128",
  "socks5h://user:Pa55MARKER@[::1]:1080",
  "http://:Pa55MARKER@proxy",
}

local BAD = {
  "",
  "http://",
  "ftp://user:Pa55MARKER@proxy",
  "file:///Pa55MARKER",
  "http://user:Pa55MARKER/x@proxy:3128",
  "http://user:x/Pa55MARKER@proxy:3128",
  "http://user:12/Pa55MARKER@proxy:3128",
  "http://user:Pa55MARKER x@proxy:3128",
  "http://user:Pa55MARKER#x@proxy:3128",
  "http://user:Pa55MARKER?x@proxy:3128",
  "http://user:Pa55MARKER@x@proxy:3128",
  "http://user:Pa55MARKER%@proxy:3128",
  "http://user:Pa55MARKER%zz@proxy:3128",
  "http://us%00er:Pa55MARKER@proxy:3128",
  "http://user:Pa55MARKER@proxy:99999",
  "http://user:Pa55MARKER@proxy:port",
  "http://user:Pa55MARKER@proxy:-1",
  "http://user:Pa55MARKER@",
  "http://user:Pa55MARKER@:3128",
  "http://user:Pa55MARKER@proxy:3128/path",
  "http://user:Pa55MARKER@proxy:3128?x=1",
  "http://user:Pa55MARKER@proxy:3128#x",
  "http://proxy:3128/x://user:Pa55MARKER",
  "http://user:Pa55MARKER@[::1",
  "user:Pa55MARKER/x@proxy",
  "://user:Pa55MARKER@proxy",
  "http//user:Pa55MARKER@proxy:3128",
  "http://user:Pa55MARKER\n@proxy:3128",
  "http://user:Pa55MARKER\\@proxy:3128",
}

local function check_text(text)
  assert.is_nil(text:find(PASSWORD, 1, true), text)
  assert.is_nil(text:find("MARKER", 1, true), text)
end

local function client_with(value, logger)
  return qhub.HubServiceClient {
    base_url = "http://gateway.invalid/svc",
    token = "t0ken-of-mine",
    max_retries = 1,
    http = { proxy = value },
    logging = logger and { level = "debug", logger = logger },
  }
end

describe("a proxy", function()
  it(
    "is accepted as host:port or as a URL of a scheme that libcurl knows, with or without user",
    function()
      for _, value in ipairs(GOOD) do
        assert.is_nil(proxy.fault(value), value)
        local client <close> = client_with(value)
        assert.is_string(tostring(client))
      end
    end
  )

  it("is a usage error when it is malformed, and is not shown", function()
    for _, value in ipairs(BAD) do
      local ok, message = pcall(client_with, value)
      assert.is_false(ok, value)
      assert.matches("proxy must look like", message)
      check_text(message)
    end
    local ok, message = pcall(client_with, { PASSWORD })
    assert.is_false(ok)
    check_text(message)
  end)

  it("that fails is named in the error without its user info", function()
    for _, value in ipairs {
      "http://user:Pa55MARKER@127.0.0.1:1",
      "user:Pa55MARKER@127.0.0.1:1",
      "socks5h://user:Pa55MARKER@127.0.0.1:1/",
    } do
      local logged = {}
      local client <close> = client_with(value, function(level, message, fields)
        logged[#logged + 1] = level .. message .. tostring(fields.error) .. tostring(fields.url)
      end)
      local none, err = client:get_status("x", { max_retries = 0 })
      assert.is_nil(none)
      assert.equal("network", err.kind)
      assert.matches("by way of the proxy 127.0.0.1:1)", err.message, 1, true)
      check_text(tostring(err))
      assert.is_true(#logged > 0)
      check_text(table.concat(logged))
    end
  end)

  it("of the environment is not named where NO_PROXY excepts the host #process", function()
    local cases = {
      ["gateway.invalid"] = false,
      ["other,.Invalid"] = false,
      ["*"] = false,
      ["x.invalid"] = true,
    }
    for except, is_named in pairs(cases) do
      local output = process.run_program(
        [[
        local qhub = require "qhub"
        local client = qhub.HubServiceClient {
          base_url = "http://gateway.invalid/x", token = "t0ken-of-mine", max_retries = 0,
        }
        print(select(2, client:get_status "x"))]],
        "http_proxy=127.0.0.1:1 no_proxy=" .. except
      )
      assert.matches("qhub network error", output)
      assert.equal(is_named, output:find("the proxy 127.0.0.1:1", 1, true) ~= nil, output)
    end
  end)

  it(
    "of the environment that is malformed fails the call at once, and is not shown #process",
    function()
      for _, value in ipairs(BAD) do
        if value ~= "" and not value:find "[\n\\]" then
          local output = process.run_program(
            [[
          local qhub = require "qhub"
          local client = qhub.HubServiceClient {
            base_url = "http://gateway.invalid/x", token = "t0ken-of-mine", max_retries = 3,
            logging = { level = "debug" },
          }
          local _, err = client:get_status "x"
          print(err.kind, err.attempts, err.sent, err.message)
          print(err)
        ]],
            "no_proxy= http_proxy='" .. value .. "'"
          )
          assert.matches("network\t1\tfalse", output, 1, true)
          assert.matches("environment variable http_proxy does not name a proxy", output)
          check_text(output)
        end
      end
    end
  )
end)
