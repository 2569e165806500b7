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
  homepage = "https://hub.kipu-quantum.com",
  maintainer = "the qhub developers",
  labels = { "quantum", "http", "client", "async" },
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
    ["qhub.lazy"] = "src/lazy.c",
    ["qhub.core"] = {
      defines = { "_DEFAULT_SOURCE", "_POSIX_C_SOURCE=200809L" },
      incdirs = { "src", "$(CURL_INCDIR)", "$(CJSON_INCDIR)" },
      libdirs = { "$(CURL_LIBDIR)", "$(CJSON_LIBDIR)" },
      libraries = { "curl", "cjson", "pthread" },
      sources = {
        -- <sources>
        "src/bind/engine.c",
        "src/bind/files.c",
        "src/bind/json.c",
        "src/bind/json_decode.c",
        "src/bind/json_document.c",
        "src/bind/json_encode.c",
        "src/bind/json_refuse.c",
        "src/bind/module.c",
        "src/bind/object.c",
        "src/bind/partfile.c",
        "src/bind/session.c",
        "src/bind/system.c",
        "src/bind/text.c",
        "src/bind/transfer.c",
        "src/bind/userdata.c",
        "src/engine/callbacks.c",
        "src/engine/easy.c",
        "src/engine/engine.c",
        "src/engine/failure.c",
        "src/engine/fork.c",
        "src/engine/multi.c",
        "src/engine/prepared.c",
        "src/engine/session.c",
        "src/engine/sockets.c",
        "src/engine/transfer.c",
        "src/fs/files.c",
        "src/fs/partfile.c",
        "src/fs/signals.c",
        "src/lazy.c",
        "src/text/buffer.c",
        "src/text/characters.c",
        "src/text/headers.c",
        "src/text/json_string.c",
        "src/text/number.c",
        "src/text/url.c",
        -- </sources>
      },
    },
    -- <modules>
    ["qhub.auth.client_credentials"] = "lua/qhub/auth/client_credentials.lua",
    ["qhub.auth"] = "lua/qhub/auth/init.lua",
    ["qhub.auth.personal_token"] = "lua/qhub/auth/personal_token.lua",
    ["qhub.auth.token"] = "lua/qhub/auth/token.lua",
    ["qhub.error"] = "lua/qhub/error/init.lua",
    ["qhub.error.text"] = "lua/qhub/error/text.lua",
    ["qhub.execution"] = "lua/qhub/execution.lua",
    ["qhub.files.download"] = "lua/qhub/files/download.lua",
    ["qhub.files.file"] = "lua/qhub/files/file.lua",
    ["qhub.files.filename"] = "lua/qhub/files/filename.lua",
    ["qhub.files.stream"] = "lua/qhub/files/stream.lua",
    ["qhub.files.validators"] = "lua/qhub/files/validators.lua",
    ["qhub.http.attempts"] = "lua/qhub/http/attempts.lua",
    ["qhub.http.failure"] = "lua/qhub/http/failure.lua",
    ["qhub.http.headers"] = "lua/qhub/http/headers.lua",
    ["qhub.http.log"] = "lua/qhub/http/log.lua",
    ["qhub.http.redact"] = "lua/qhub/http/redact.lua",
    ["qhub.http.redirect"] = "lua/qhub/http/redirect.lua",
    ["qhub.http.report"] = "lua/qhub/http/report.lua",
    ["qhub.http.request"] = "lua/qhub/http/request.lua",
    ["qhub.http.retry"] = "lua/qhub/http/retry.lua",
    ["qhub.http.session"] = "lua/qhub/http/session.lua",
    ["qhub.http.transport.curl"] = "lua/qhub/http/transport/curl.lua",
    ["qhub.http.transport.program"] = "lua/qhub/http/transport/program.lua",
    ["qhub.http.transport.proxy"] = "lua/qhub/http/transport/proxy.lua",
    ["qhub.http.version"] = "lua/qhub/http/version.lua",
    ["qhub.hub.client"] = "lua/qhub/hub/client.lua",
    ["qhub.hub.decode"] = "lua/qhub/hub/decode.lua",
    ["qhub.hub.methods"] = "lua/qhub/hub/methods.lua",
    ["qhub.hub.operations"] = "lua/qhub/hub/operations.lua",
    ["qhub.hub.timestamp"] = "lua/qhub/hub/timestamp.lua",
    qhub = "lua/qhub/init.lua",
    ["qhub.json"] = "lua/qhub/json.lua",
    ["qhub.options.client"] = "lua/qhub/options/client.lua",
    ["qhub.options"] = "lua/qhub/options/init.lua",
    ["qhub.options.request"] = "lua/qhub/options/request.lua",
    ["qhub.options.start"] = "lua/qhub/options/start.lua",
    ["qhub.polling.follow_logs"] = "lua/qhub/polling/follow_logs.lua",
    ["qhub.polling.run"] = "lua/qhub/polling/run.lua",
    ["qhub.polling.schedule"] = "lua/qhub/polling/schedule.lua",
    ["qhub.polling.wait"] = "lua/qhub/polling/wait.lua",
    ["qhub.polling.wait_all"] = "lua/qhub/polling/wait_all.lua",
    ["qhub.progress"] = "lua/qhub/progress/init.lua",
    ["qhub.progress.line"] = "lua/qhub/progress/line.lua",
    ["qhub.tasks.group"] = "lua/qhub/tasks/group.lua",
    ["qhub.tasks"] = "lua/qhub/tasks/init.lua",
    ["qhub.tasks.loop"] = "lua/qhub/tasks/loop.lua",
    ["qhub.tasks.parallel"] = "lua/qhub/tasks/parallel.lua",
    ["qhub.tasks.timers"] = "lua/qhub/tasks/timers.lua",
    -- </modules>
  },
  -- Beside the rock: `luarocks show qhub --rock-dir` tells where.
  copy_directories = { "types", "docs" },
  -- The command; it wants argparse, which the library does not.
  install = { bin = { ["qhub-lua"] = "bin/qhub-lua" } },
}
test = {
  type = "command",
  command = "make test",
}
