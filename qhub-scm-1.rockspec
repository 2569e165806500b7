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
        "src/bind/engine.c",
        "src/bind/execution.c",
        "src/bind/files.c",
        "src/bind/json.c",
        "src/bind/json_decode.c",
        "src/bind/json_encode.c",
        "src/bind/json_path.c",
        "src/bind/module.c",
        "src/bind/object.c",
        "src/bind/partfile.c",
        "src/bind/session.c",
        "src/bind/system.c",
        "src/bind/text.c",
        "src/bind/transfer.c",
        "src/core/buffer.c",
        "src/core/date.c",
        "src/core/double.c",
        "src/core/engine.c",
        "src/core/engine_callbacks.c",
        "src/core/engine_failure.c",
        "src/core/engine_pool.c",
        "src/core/engine_sockets.c",
        "src/core/file.c",
        "src/core/headers.c",
        "src/core/json_scan.c",
        "src/core/json_text.c",
        "src/core/partfile.c",
        "src/core/poller_epoll.c",
        "src/core/poller_kqueue.c",
        "src/core/poller_poll.c",
        "src/core/printable.c",
        "src/core/session.c",
        "src/core/signals.c",
        "src/core/timers.c",
        "src/core/transfer.c",
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
    ["qhub.client_credentials"] = "lua/qhub/client_credentials.lua",
    ["qhub.client_options"] = "lua/qhub/client_options.lua",
    ["qhub.credentials"] = "lua/qhub/credentials.lua",
    ["qhub.download"] = "lua/qhub/download.lua",
    ["qhub.enums"] = "lua/qhub/enums.lua",
    ["qhub.error"] = "lua/qhub/error.lua",
    ["qhub.execution"] = "lua/qhub/execution.lua",
    ["qhub.file"] = "lua/qhub/file.lua",
    ["qhub.filename"] = "lua/qhub/filename.lua",
    ["qhub.follow"] = "lua/qhub/follow.lua",
    ["qhub.headers"] = "lua/qhub/headers.lua",
    qhub = "lua/qhub/init.lua",
    ["qhub.json"] = "lua/qhub/json.lua",
    ["qhub.log"] = "lua/qhub/log.lua",
    ["qhub.loop"] = "lua/qhub/loop.lua",
    ["qhub.misuse"] = "lua/qhub/misuse.lua",
    ["qhub.operations"] = "lua/qhub/operations.lua",
    ["qhub.options"] = "lua/qhub/options.lua",
    ["qhub.personal_token"] = "lua/qhub/personal_token.lua",
    ["qhub.polling"] = "lua/qhub/polling.lua",
    ["qhub.problem"] = "lua/qhub/problem.lua",
    ["qhub.program"] = "lua/qhub/program.lua",
    ["qhub.progress"] = "lua/qhub/progress.lua",
    ["qhub.progress_line"] = "lua/qhub/progress_line.lua",
    ["qhub.reader"] = "lua/qhub/reader.lua",
    ["qhub.redirect"] = "lua/qhub/redirect.lua",
    ["qhub.request_options"] = "lua/qhub/request_options.lua",
    ["qhub.result"] = "lua/qhub/result.lua",
    ["qhub.resume"] = "lua/qhub/resume.lua",
    ["qhub.retry"] = "lua/qhub/retry.lua",
    ["qhub.run"] = "lua/qhub/run.lua",
    ["qhub.secrets"] = "lua/qhub/secrets.lua",
    ["qhub.several"] = "lua/qhub/several.lua",
    ["qhub.show"] = "lua/qhub/show.lua",
    ["qhub.tasks"] = "lua/qhub/tasks.lua",
    ["qhub.timers"] = "lua/qhub/timers.lua",
    ["qhub.timestamp"] = "lua/qhub/timestamp.lua",
    ["qhub.token"] = "lua/qhub/token.lua",
    ["qhub.transport"] = "lua/qhub/transport.lua",
    ["qhub.version"] = "lua/qhub/version.lua",
    ["qhub.wait_all"] = "lua/qhub/wait_all.lua",
    -- </modules>
  },
  -- Beside the rock: `luarocks show qhub --rock-dir` tells where.
  copy_directories = { "types", "docs" },
}
test = {
  type = "command",
  command = "make test",
}
