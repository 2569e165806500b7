-- Checking of option tables: names, types and ranges.

local qhub = require "qhub"
local usage_error = require "spec.support.usage_error"

local BASE = "https://gateway.example/acme/vqe/v1"

local function build(options)
  options.token, options.base_url = "t", "https://gateway.example/acme/vqe/v1"
  return qhub.HubServiceClient(options)
end

describe("a table of options", function()
  it("names unknown options and those that are known", function()
    assert.matches("'baseUrl'; known are base_url, ", usage_error(build, { baseUrl = BASE }))
    assert.matches("'cafile'; known are ca_file, ", usage_error(build, { http = { cafile = "x" } }))
    assert.matches(
      "'levels'; known are level, logger, silent",
      usage_error(build, { logging = { levels = "info" } })
    )
  end)

  it("checks types and ranges", function()
    for name, values in pairs {
      timeout = { 0, -1, "60", 0 / 0, math.huge },
      total_timeout = { 0, {} },
      max_retries = { -1, 1.5, "2" },
      follow_redirects = { 1, "yes" },
      max_response_bytes = { 0, -5, 1.5 },
      headers = { "x", { "x" }, { ["a b"] = "1" }, { a = "1\r\nb: 2" }, { a = {} }, { a = true } },
      http = { 1, { max_connections = 0 }, { http_version = "3" }, { verify = 1 } },
      logging = { 1, { level = "loud" }, { logger = 1 } },
      transport = { 1, {} },
      on_response = { 1 },
    } do
      for _, value in ipairs(values) do
        local message = usage_error(build, { [name] = value })
        assert.matches("HubServiceClient", message)
      end
    end
  end)

  it("keeps header values out of its messages", function()
    local message = usage_error(build, { headers = { ["X-Api-Key"] = "s3cret\n" } })
    assert.is_nil(message:find("s3cret", 1, true))
    assert.matches("X%-Api%-Key", message)
  end)
end)
