-- The result envelope: the files that its links name.

local FakeTransport = require "spec.support.fake_transport"
local qhub = require "qhub"

describe("the files of a result", function()
  it("are the relations of its links except self and status", function()
    local links = { self = {}, status = {}, ["b.png"] = {}, ["a.txt"] = {} }
    assert.same({ "a.txt", "b.png" }, qhub.result_files { _links = links })
    assert.equal("[]", qhub.json.encode(qhub.result_files {}))
    assert.equal("[]", qhub.json.encode(qhub.result_files "text"))
    assert.is_false((pcall(qhub.result_files)))
  end)

  it("are only names by which a file can be requested", function()
    local links = { [""] = {}, ["."] = {}, [".."] = {}, ["..."] = {}, ["a/../b"] = {} }
    local names = qhub.result_files { _links = links }
    assert.same({ "...", "a/../b" }, names)
    for _, name in ipairs(names) do
      local client = FakeTransport({ { status_code = 404 } }):client()
      assert.equal("api", select(2, client:get_result_file("1", name)).kind)
    end
  end)
end)
