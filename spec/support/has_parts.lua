-- Asserts that `text` has each of `parts`, and is one line without control characters.

local assert = require "luassert"

return function(text, parts)
  for _, part in ipairs(parts) do
    assert.matches(part, text, 1, true)
  end
  assert.is_nil(text:find "%c", text)
end
