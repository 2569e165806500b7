-- What is in a folder, and which descriptors this process has open.

local lfs = require "lfs"

local listing = {}

--- The names in `folder`, in no order.
function listing.names(folder)
  local names = {}
  for name in lfs.dir(folder) do
    if name ~= "." and name ~= ".." then names[#names + 1] = name end
  end
  return names
end

--- How many descriptors this process has open, with the one that counts them.
function listing.descriptors()
  return #listing.names "/dev/fd"
end

return listing
