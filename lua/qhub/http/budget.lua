-- The retry budget of a client: a bucket of tokens that retries drain and successes refill.
--
-- When a gateway is down, thousands of calls that each retry would multiply the load just when it
-- hurts. With the bucket empty, calls fail at their first error; a success lets retries return
-- slowly. The figures are those of the "standard" retry mode of the AWS SDKs (500 tokens, 5 a
-- retry, 10 after a timeout, 1 back for a success at the first attempt). The bucket is always large
-- enough for one call with all the retries that the client allows.

local budget = {}
budget.__index = budget

local CAPACITY = 500
local COST = { network = 5, timeout = 10 }
local COST_OF_STATUS = 5
local REFILL = 1

--- A full budget for a client with `max_retries`.
function budget.new(max_retries)
  local capacity = math.max(CAPACITY, 10 * max_retries)
  return setmetatable({ capacity = capacity, tokens = capacity }, budget)
end

--- Takes the cost of a retry after `failure` (nil: after a status); the amount taken, or nil when
--- the bucket has too little left.
function budget:withdraw(failure)
  local cost = failure and COST[failure.kind] or COST_OF_STATUS
  if cost > self.tokens then
    return nil
  end
  self.tokens = self.tokens - cost
  return cost
end

--- Gives back after a success: what its last retry took, or a little for a success without retry.
function budget:deposit(withdrawn)
  self.tokens = math.min(self.capacity, self.tokens + (withdrawn or REFILL))
end

return budget
