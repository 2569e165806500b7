-- Install the working tree: `luarocks --lua-version 5.4 make` (works offline).
-- `make rockspec` writes the two lists of files anew.
rockspec_format = "3.0"
package = "qhub"
version = "scm-1"
source = {
  -- Of no use to `luarocks make`, which takes the tree that it stands in.
  url = "git+file://.",
}
description = {
  summary = "Client for managed quantum services behind the PLANQK / Kipu Quantum Hub gateway",
  detailed = [[
Starts and follows service executions, fetches results, files and logs. Blocks like ordinary Lua,
or runs many executions from one thread. HTTP by libcurl, lossless JSON.]],
  license = "MIT",
}
dependencies = {
  "lua >= 5.4, < 5.5",
}
external_dependencies = {
  -- No header for CURL: Debian keeps curl/curl.h in a folder that LuaRocks does not look into.
  CURL = { library = "curl" },
  CJSON = { header = "cjson/cJSON.h", library = "cjson" },
}
build = {
  type = "builtin",
  modules = {
    ["qhub.core"] = {
      defines = { "_DEFAULT_SOURCE", "_POSIX_C_SOURCE=200809L" },
      incdirs = { "src", "$(CURL_INCDIR)", "$(CJSON_INCDIR)" },
      libdirs = { "$(CURL_LIBDIR)", "$(CJSON_LIBDIR)" },
      libraries = { "curl", "cjson", "pthread" },
      sources = {
        -- <sources>
        "src/bind/execution.c",
        "src/bind/failure.c",
        "src/bind/module.c",
        "src/bind/object.c",
        "src/bind/system.c",
        "src/bind/text.c",
        "src/core/buffer.c",
        "src/core/date.c",
        "src/core/double.c",
        "src/core/file.c",
        "src/core/printable.c",
        "src/core/signals.c",
        "src/core/url.c",
        "src/core/utf8.c",
        -- </sources>
      },
    },
    -- <modules>
    ["qhub.answer"] = "lua/qhub/answer.lua",
    ["qhub.budget"] = "lua/qhub/budget.lua",
    ["qhub.call"] = "lua/qhub/call.lua",
    ["qhub.client"] = "lua/qhub/client.lua",
    ["qhub.enums"] = "lua/qhub/enums.lua",
    ["qhub.error"] = "lua/qhub/error.lua",
    ["qhub.headers"] = "lua/qhub/headers.lua",
    ["qhub.json"] = "lua/qhub/json.lua",
    ["qhub.log"] = "lua/qhub/log.lua",
    ["qhub.loop"] = "lua/qhub/loop.lua",
    ["qhub.misuse"] = "lua/qhub/misuse.lua",
    ["qhub.options"] = "lua/qhub/options.lua",
    ["qhub.problem"] = "lua/qhub/problem.lua",
    ["qhub.redirect"] = "lua/qhub/redirect.lua",
    ["qhub.result"] = "lua/qhub/result.lua",
    ["qhub.retry"] = "lua/qhub/retry.lua",
    ["qhub.show"] = "lua/qhub/show.lua",
    ["qhub.timers"] = "lua/qhub/timers.lua",
    ["qhub.transport"] = "lua/qhub/transport.lua",
    ["qhub.version"] = "lua/qhub/version.lua",
    -- </modules>
  },
}
test = {
  type = "command",
  command = "make test",
}
