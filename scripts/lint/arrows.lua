-- Keeps the arrows between the parts of the project: which C file may know Lua, libcurl and cJSON,
-- which Lua file may require what.
package.path = "./scripts/lint/?.lua;" .. package.path
local source = require("source")
local report = source.report()

-- Headers that only some files may include: Lua patterns for header and file.
local RESTRICTED = {
  { header = "^lua[%w]*%.h$", files = { "^src/bind/" }, what = "Lua" },
  { header = "^lualib%.h$", files = { "^src/bind/" }, what = "Lua" },
  { header = "^lauxlib%.h$", files = { "^src/bind/", "^src/lazy%.c$" }, what = "Lua" },
  {
    header = "^curl/",
    files = { "^src/engine/", "^src/text/url%.c$", "^src/bind/text%.c$" },
    what = "libcurl",
  },
  { header = "^.*cJSON%.h$", files = { "^src/bind/json_document%.c$" }, what = "cJSON" },
}

-- Words that no C file uses, with the reason.
local FORBIDDEN_IN_C = {
  { "luaL_ref", "a registry reference is a strong root: use a user value" },
  { "cJSON_InitHooks", "changes the allocator of the whole process" },
  { "curl_easy_header", "libcurl 7.83; src/text/headers.c does it" },
  { "curl_easy_perform", "cannot be interrupted; the engine steps" },
  { "setlocale", "belongs to the host program" },
  { "strcpy", "unbounded" },
  { "strcat", "unbounded" },
  { "sprintf", "unbounded: snprintf" },
  { "vsprintf", "unbounded: vsnprintf" },
  { "strtok", "keeps state for the process" },
  { "localtime", "keeps state for the process" },
  { "gmtime", "keeps state for the process" },
  { "strerror", "keeps state for the process: strerror_r" },
  { "rand", "keeps state for the process" },
}

local function matches_any(text, patterns)
  for _, pattern in ipairs(patterns) do
    if text:find(pattern) then return true end
  end
  return false
end

local function exists(name)
  local file = io.open(name, "rb")
  if file then file:close() end
  return file ~= nil
end

-- "src/bind" and "../text/url.h" -> "src/text/url.h"
local function join(folder, name)
  local path = folder .. "/" .. name
  repeat
    local count
    path, count = path:gsub("[^/]+/%.%./", "", 1)
  until count == 0
  return path
end

-- C without comments and without what stands between quotes, its lines kept.
local function bare_c(text)
  local function blank(part)
    return (part:gsub("[^\n]", " "))
  end
  text = text:gsub("/%*.-%*/", blank)
  text = text:gsub("//[^\n]*", blank)
  return text
end

local function check_include(name, number, quote, header)
  for _, rule in ipairs(RESTRICTED) do
    if header:find(rule.header) and not matches_any(name, rule.files) then
      report("%s:%d: includes <%s>, but may not know %s", name, number, header, rule.what)
    end
  end
  if quote == '"' then
    local path = join(name:match("^(.*)/"), header)
    if not exists(path) then path = "src/" .. header end
    if not exists(path) then
      report("%s:%d: includes %s, which is not there", name, number, header)
    elseif path:find("^src/bind/") and not name:find("^src/bind/") then
      report("%s:%d: only src/bind may include %s", name, number, path)
    end
  end
end

for _, name in ipairs(source.files({ "src" }, { ".c", ".h" })) do
  for number, line in source.lines(bare_c(source.read(name))) do
    local quote, header = line:match('^%s*#%s*include%s*([<"])([^>"]+)[>"]')
    if header then
      check_include(name, number, quote, header)
    else
      line = line:gsub('"[^"]*"', '""')
      for _, word in ipairs(FORBIDDEN_IN_C) do
        if line:find("%f[%w_]" .. word[1] .. "%f[^%w_]%s*%(") then
          report("%s:%d: %s: %s", name, number, word[1], word[2])
        end
      end
    end
  end
end

-- The layers of lua/qhub, bottom up: a module requires those of its own layer and of lower ones.
-- The longest name that a module's name begins with counts.
local LAYERS = {
  { "qhub.error.text" },
  { "qhub.error" },
  { "qhub.json", "qhub.execution", "qhub.options" },
  { "qhub.progress" },
  { "qhub.tasks" },
  { "qhub.http" },
  { "qhub.options.client", "qhub.options.request", "qhub.options.start" },
  { "qhub.auth", "qhub.files", "qhub.polling" },
  { "qhub.hub" },
  { "qhub" },
}

local function layer_of(module)
  local longest, layer = -1, nil
  for number, names in ipairs(LAYERS) do
    for _, name in ipairs(names) do
      local is_within = module == name or module:sub(1, #name + 1) == name .. "."
      if is_within and #name > longest and (name ~= "qhub" or module == "qhub") then
        longest, layer = #name, number
      end
    end
  end
  return layer
end

local function check_require(name, number, module)
  local own = name:match("^lua/(.*)%.lua$"):gsub("/init$", ""):gsub("/", ".")
  local from, to = layer_of(own), layer_of(module)
  if module:find("^qhub%.core") then
    return
  elseif not from then
    report("%s:%d: stands in no layer; see LAYERS in scripts/lint/arrows.lua", name, number)
  elseif not to then
    report("%s:%d: requires %s, which is no module of the library", name, number, module)
  elseif to > from then
    report("%s:%d: requires %s, which is in a higher layer", name, number, module)
  end
end

-- A field whose name ends in "_" is private: only its own object's methods read it.
local function check_private(name, number, code)
  for owner, field in code:gmatch("([%w_]+)[.:]([%w_]*%a_)%f[^%w_]") do
    if owner ~= "self" then
      report("%s:%d: reads %s.%s, which is private", name, number, owner, field)
    end
  end
end

-- The library requires itself and nothing else, and knows nothing of examples and specs.
for _, name in ipairs(source.files({ "lua/qhub" }, { ".lua" })) do
  for number, line in source.lines(source.read(name)) do
    local code = line:gsub("%-%-.*", "")
    for module in code:gmatch("require%s*%(?%s*[\"']([^\"']+)[\"']") do
      check_require(name, number, module)
    end
    check_private(name, number, code:gsub('"[^"]*"', '""'))
    for _, folder in ipairs({ "examples", "spec", "bench", "fuzz" }) do
      if code:find("[\"'/]" .. folder .. "[/.]") then
        report("%s:%d: names %s/", name, number, folder)
      end
    end
  end
end

-- At most a dozen entries in a folder, so that a listing shows the architecture.
local MOST_ENTRIES = 12
local entries = {}
for _, name in ipairs(source.files({ "lua/qhub" }, { ".lua" })) do
  local folder, entry = name:match("^(lua/qhub[^.]-)/([^/]+)$")
  while folder do
    entries[folder] = entries[folder] or {}
    entries[folder][entry] = true
    folder, entry = folder:match("^(lua/qhub.*)/([^/]+)$")
  end
end
for folder, names in pairs(entries) do
  local count = 0
  for _ in pairs(names) do
    count = count + 1
  end
  if count > MOST_ENTRIES then
    report("%s: %d entries, more than %d", folder, count, MOST_ENTRIES)
  end
end

-- The simulator stands in for the service: it must not lean on the client that it tests.
for _, name in ipairs(source.files({ "examples/gateway" }, { ".lua" })) do
  for number, line in source.lines(source.read(name)) do
    if line:gsub("%-%-.*", ""):find("require%s*%(?%s*[\"']qhub") then
      report("%s:%d: the simulator may not use the client", name, number)
    end
  end
end

report:finish("arrows")
