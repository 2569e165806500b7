-- The result envelope: the files that its links name.

local qhub = require "qhub"

describe("the files of a result", function()
  it("are the relations of its links except self and status", function()
    local links = { self = {}, status = {}, ["b.png"] = {}, ["a.txt"] = {} }
    assert.same({ "a.txt", "b.png" }, qhub.result_files { _links = links })
    assert.equal("[]", qhub.json.encode(qhub.result_files {}))
    assert.equal("[]", qhub.json.encode(qhub.result_files "text"))
    assert.is_false((pcall(qhub.result_files)))
  end)
end)
