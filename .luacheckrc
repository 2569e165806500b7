std = "lua54"
max_line_length = 100
cache = false
-- An unused method receiver or a trailing argument of a callback documents the signature.
self = false
unused_secondaries = false

-- The library runs in hosts that took `os` and `io` away: it asks qhub.core.system instead.
files["lua/qhub"] = { not_globals = { "os", "io" } }
files["spec"] = { std = "+busted" }
files["*.rockspec"] = { std = "rockspec", max_line_length = false }
