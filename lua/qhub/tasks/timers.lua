-- A binary heap of entries by due time, earliest first; any entry can be taken out.
--
-- An entry is a table of the caller's; the heap keeps `due` (seconds on the monotonic clock) and
-- `timer_index` (its place, false when it is not in the heap) in it. Entries of equal due time come
-- out in no particular order.

local timers = {}
timers.__index = timers

function timers.new()
  return setmetatable({ count = 0 }, timers)
end

local function place(heap, entry, index)
  heap[index] = entry
  entry.timer_index = index
end

local function sift_up(heap, entry, index)
  while index > 1 do
    local parent = index // 2
    if heap[parent].due <= entry.due then break end
    place(heap, heap[parent], index)
    index = parent
  end
  place(heap, entry, index)
end

local function sift_down(heap, entry, index)
  local count = heap.count
  while true do
    local child = 2 * index
    if child > count then break end
    if child < count and heap[child + 1].due < heap[child].due then child = child + 1 end
    if entry.due <= heap[child].due then break end
    place(heap, heap[child], index)
    index = child
  end
  place(heap, entry, index)
end

--- Adds `entry`, due at `due`. It must not be in the heap.
function timers:add(entry, due)
  local index = self.count + 1
  self[index] = entry
  entry.due, entry.timer_index = due, index
  self.count = index
  sift_up(self, entry, index)
end

--- Takes `entry` out if it is in the heap.
function timers:remove(entry)
  local index = entry.timer_index
  if not index then return end
  entry.timer_index = false
  if self[index] ~= entry then return end -- an error has left it in pieces: see `loop.start_anew`
  local last = self[self.count]
  self[self.count] = nil
  self.count = self.count - 1
  if last ~= entry then
    self[index], last.timer_index = last, index
    sift_down(self, last, index)
    sift_up(self, last, last.timer_index)
  end
end

--- The earliest entry (left in the heap), or nil.
function timers:earliest()
  return self.count > 0 and self[1] or nil
end

return timers
