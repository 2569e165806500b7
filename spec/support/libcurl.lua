-- What of the libcurl that the module was built for decides what can be promised.

local pipe = assert(io.popen "pkg-config --modversion libcurl")
local major, minor = pipe:read("a"):match "^(%d+)%.(%d+)"
pipe:close()

-- As in libcurl's own LIBCURL_VERSION_NUM, without the patch level.
local version = tonumber(major) << 8 | tonumber(minor)

return {
  -- Before 7.80 libcurl does not tell when it is about to send a request again on its own, so that
  -- a start never goes over a kept connection.
  starts_use_kept = version >= 7 << 8 | 80,
  -- Before 7.77 it takes a stream of HTTP/2 that is reset for one that ends, if it has no length.
  tells_resets = version >= 7 << 8 | 77,
}
