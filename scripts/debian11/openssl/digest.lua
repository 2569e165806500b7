-- Stands for luaossl's module of this name, which Debian 11 has for Lua 5.3 at most.
return dofile "examples/gateway/sha256.lua"
