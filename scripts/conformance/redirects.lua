-- Where a redirect leads: to what the URL standard says, or nowhere; and never with credentials to
-- another origin.
--
--   scripts/with_build.sh build lua5.4 scripts/conformance/redirects.lua
--
-- A recording proxy stands for the whole network, so what is compared is what libcurl asks it for,
-- after all parsing. The judge is Node's URL, an implementation of the WHATWG standard. Every
-- `Location` that we follow elsewhere than the judge is listed in DIFFERENT with its reason.
-- Assumes the project's root as the working directory, node and cqueues.

local json = dofile "examples/gateway/json.lua"
local qhub = require "qhub"
local scripted = require "spec.support.scripted"

local ORIGIN = "http://gateway.example"
local BASE = ORIGIN .. "/acme/vqe/v1"

-- What servers write, and what attackers do.
-- stylua: ignore
local locations = {
  "/", "/a", "/a/../b", "/a/./b", "/../../b", "a", "./a", "../a", "../../../../a", "..", ".",
  "?q=1", "?", "#f", "/a#f?x", "/a?b#c", "a?b=c&d=e", "/a//b", "/a/", "/a/..", "/a/.",
  "//gateway.example/a", "//gateway.example", "//gateway.example:80/a", "//gateway.example:8080/a",
  "/%2e%2e/a", "/%2E/a", "/a%2fb", "/a%00b", "/a%zz", "/%", "/a%20b", "/a b", "/ä", "/日本語?ü=ß",
  "/a|b", "/a^b", "/a`b", "/a{b}", '/a"b', "/a<b>", "/a'b", "/a[b]", "/a\\b", "\\a",
  "\\\\evil.example/a", "/\\evil.example/a", "\\/evil.example/a", "//evil.example/a",
  "///evil.example/a", "////evil.example/a", "//evil.example", "http:evil.example",
  "http:/evil.example/a", "http:///evil.example/a", "http:\\\\evil.example/a",
  "http:/\\evil.example/a", "http:a", "http:", "http:/", "http://", "http:///", "http:?q",
  "http:#f", "//", "///", "//?", "//#", "//:80/a", "//@evil.example/a",
  "//evil.example@gateway.example/a", "//gateway.example@evil.example/a",
  "http://gateway.example@evil.example/a", "http://gateway.example:80@evil.example/a",
  "http://user:secret@gateway.example/a", "http://@gateway.example/a",
  "http://:@gateway.example/a", "http://gateway.example\\@evil.example/a",
  "http://evil.example\\@gateway.example/a", "http://evil.example#@gateway.example/a",
  "http://evil.example?@gateway.example/a", "http://gateway.example#@evil.example/a",
  "http://gateway.example?@evil.example/a", "http://gateway.example/@evil.example/a",
  "http://gateway.example;@evil.example/a", "http://gateway.example&@evil.example/a",
  "http://gateway.example%40evil.example/a", "http://gateway.example%2fevil.example/a",
  "http://gateway.example%5cevil.example/a", "http://gateway.example%00.evil.example/a",
  "http://gateway.example%23.evil.example/a", "http://gateway.example%3a80/a",
  "http://gateway%2eexample/a", "http://%67ateway.example/a",
  "http://gateway.example.evil.example/a", "http://evilgateway.example/a",
  "http://gateway.example./a", "http://gateway.example../a", "http://.gateway.example/a",
  "http://gateway..example/a", "http://GATEWAY.EXAMPLE/a", "HTTP://gateway.example/a",
  "hTTp://GateWay.Example:80/a", "http://gateway.example:/a", "http://gateway.example:080/a",
  "http://gateway.example:0080/a", "http://gateway.example:00000080/a",
  "http://gateway.example:0/a", "http://gateway.example:81/a", "http://gateway.example:443/a",
  "http://gateway.example:65535/a", "http://gateway.example:65536/a",
  "http://gateway.example:65616/a", "http://gateway.example:-80/a", "http://gateway.example:+80/a",
  "http://gateway.example: 80/a", "http://gateway.example:80a/a", "http://gateway.example:8 0/a",
  "http://gateway.example:80:80/a", "http://gateway.example:4294967376/a",
  "http://gateway.example:１/a", "http://gateway.example：80/a", "http://gateway。example/a",
  "http://gateway．example/a", "http://gateway｡example/a", "http://ｇateway.example/a",
  "http://gateway.ｅxample/a", "http://gatewaу.example/a", "http://gateway.example／evil/a",
  "http://gateway.example＠evil.example/a", "http://ﬀ.example/a", "http://gate\u{AD}way.example/a",
  "http://gateway\u{200B}.example/a", "http://gateway\u{2060}.example/a",
  "http://gateway.example\u{2044}.evil.example/a", "http://faß.example/a",
  "http://bücher.example/a", "http://xn--bcher-kva.example/a", "http://XN--BCHER-KVA.example/a",
  "http://K.example/a", "http://\tgateway.example/a", "http://gate\tway.example/a",
  "ht\ttp://gateway.example/a", "http:/\t/evil.example/a", "/\t/evil.example/a", "\t/a",
  "\t//evil.example/a", "/a\t", "/a\tb", "//evil\t.example/a", "/a\t/../b", " /a", "/a ",
  " //evil.example/a", "  http://gateway.example/a  ", "http ://gateway.example/a",
  "http: //gateway.example/a", "http:// gateway.example/a", "http://gate way.example/a",
  "http://gateway.example /a", "/\x01a", "\x01/a", "/a\x7f", "http://gateway.example\x01/a",
  "http://gateway.example\x7f/a", "/\x1f/evil.example", "http://127.0.0.1/a", "http://127.1/a",
  "http://0x7f.1/a", "http://0177.0.0.1/a", "http://2130706433/a", "http://127.0.0.1./a",
  "http://127.0.0.256/a", "http://1.2.3.4.5/a", "http://0/a", "http://0x/a",
  "http://127.0.0.1:80/a", "http://[::1]/a", "http://[::1]:80/a", "http://[::1]:8080/a",
  "http://[0:0:0:0:0:0:0:1]/a", "http://[::ffff:127.0.0.1]/a", "http://[::FFFF:7f00:1]/a",
  "http://[::1/a", "http://::1/a", "http://[::1]a/a", "http://[::1]@evil.example/a",
  "http://[fe80::1%25lo]/a", "http://[fe80::1%lo]/a", "http://[::1].evil.example/a", "http://[]/a",
  "http://[v1.a]/a", "http://[gateway.example]/a", "http://[::12345]/a", "http://[1:2:3]/a",
  "http://[::1:]/a", "https://gateway.example/a", "https://gateway.example:80/a", "https:/a",
  "https:a", "ftp://gateway.example/a", "file:///etc/passwd", "file:/a", "javascript:alert(1)",
  "data:,a", "mailto:a@b", "about:blank", "gopher://gateway.example/a", "dict://gateway.example/a",
  "ws://gateway.example/a", "blob:http://gateway.example/a", "x:y", "1:2", ":a", ":",
  "://gateway.example/a", "gateway.example/a", "gateway.example:80/a", "http://gateway.example",
  "http://gateway.example?q", "http://gateway.example#f", "http//gateway.example/a",
  "http://gateway.example/a?b=//evil.example", "http://gateway.example/a;p=1?x=y#z", "/a;p", ";p",
  "a:b", "./a:b", "//-/a", "//a_b.example/a", "//*.example/a", "//a!b.example/a",
  "//a$b.example/a", "//a,b.example/a", "//a=b.example/a", "//a'b.example/a", "//a(b).example/a",
  "//a~b.example/a", '//a"b.example/a', "//a<b.example/a", "//a>b.example/a", "//a|b.example/a",
  "//a^b.example/a", "//a`b.example/a", "//a{b}.example/a", "/" .. ("a"):rep(3000),
  "//" .. ("a"):rep(63) .. ".example/a", "//" .. ("a"):rep(300) .. ".example/a",
  "/" .. ("../"):rep(200) .. "b", "/a" .. ("/.."):rep(200),
}

local judge = [[
  const {base, locations, ours} = JSON.parse(require("fs").readFileSync(0))
  const parse = (text, base) => { try { return new URL(text, base) } catch { return null } }
  const show = url => url &&
    { origin: url.protocol + "//" + url.host, href: url.href.replace(/#.*$/, "") }
  console.log(JSON.stringify(locations.map((l, i) =>
    ({ theirs: show(parse(l, base)) || false, ours: ours[i] && show(parse(ours[i])) || false }))))
]]

-- Followed, and elsewhere than the judge leads. The reason is a sentence.
local DIFFERENT = {
  ["?"] = "an empty query is no query to libcurl",
  ["/a|b"] = "encoded, as RFC 3986 wants it",
  ["/a^b"] = "encoded, as RFC 3986 wants it",
  ["/a[b]"] = "encoded, as RFC 3986 wants it",
  ["http://127.0.0.256/a"] = "a name to RFC 3986; none that resolves",
  ["http://1.2.3.4.5/a"] = "a name to RFC 3986; none that resolves",
}

local server <close> = scripted.start()
local client = qhub.HubServiceClient {
  base_url = BASE,
  token = "t0ken-of-the-check",
  headers = {
    ["X-Parent-Execution-Token"] = "parent-of-the-check",
    ["X-Own"] = "own-of-the-check",
    Cookie = "cookie-of-the-check",
  },
  http = { proxy = "http://127.0.0.1:" .. server.port },
  max_retries = 0,
}
local OK = scripted.response("200 OK", '{"id":"x","status":"RUNNING"}')

local failures = {}
local function fail(location, ...)
  failures[#failures + 1] = ("FAILED %q: %s"):format(location, table.concat({ ... }, " "))
end

-- The target that the proxy was asked for after a redirect to `location`, or nil; and the head.
local function follow(location)
  local moved = scripted.response("302 Found", "", { "Location: " .. location })
  server:play({ moved, { keep = true } }, { OK, { keep = true } }, {})
  local got, err = client:get_status "x"
  local seen = server:requests()
  assert(#seen <= 2 or seen[2].method == "CONNECT", location)
  if not seen[2] then
    if got or err.kind ~= "api" or err.status_code ~= 302 then
      fail(location, "not followed, but no error of kind api with 302:", tostring(err))
    end
    return nil
  end
  local target = seen[2].target
  return seen[2].method == "CONNECT" and "https://" .. target .. "/" or target, seen[2].head
end

local ours = json.array {}
local followed, refused = 0, 0
for i, location in ipairs(locations) do
  local target, head = follow(location)
  ours[i] = target or false
  if target then
    followed = followed + 1
    -- By the bytes of the request line, with no parser in between.
    local authority = target:match "^https?://([^/]+)/"
    local is_plain = authority
      and (
        authority:find "^[%w.%-_~]+$"
        or authority:find "^[%w.%-_~]+:%d+$"
        or authority:find "^%[[%x:.]+%]$"
        or authority:find "^%[[%x:.]+%]:%d+$"
      )
    local host = head:match "\r\n[Hh]ost: ([^\r]*)"
    -- libcurl leaves the brackets out when it goes on with the proxy connection of another host.
    local is_own = host == authority or authority:find "^%[" and host == authority:gsub("[][]", "")
    if not is_plain or not is_own then
      fail(location, "asked for", target, "with Host", tostring(host))
    end
    if target:lower():sub(1, #ORIGIN + 1) ~= ORIGIN .. "/" and head:find "of%-the%-check" then
      fail(location, "credentials went to", target)
    end
  else
    refused = refused + 1
  end
end

local input = os.tmpname()
local file = assert(io.open(input, "wb"))
file:write(json.encode { base = BASE .. "/x", locations = json.array(locations), ours = ours })
file:close()
local pipe = assert(io.popen(("node -e '%s' <%s"):format(judge:gsub("'", "'\\''"), input)))
local comparisons = json.decode(pipe:read "a")
assert(pipe:close(), "node failed")
os.remove(input)

local same, listed = 0, 0
for i, comparison in ipairs(comparisons) do
  local location = locations[i]
  if ours[i] then
    local theirs = comparison.theirs
    local what = ours[i]:find "^https:" and "origin" or "href" -- a tunnel shows no path
    if theirs and comparison.ours and theirs[what] == comparison.ours[what] then
      same = same + 1
    elseif DIFFERENT[location] then
      listed = listed + 1
    else
      fail(location, "we ask for", ours[i], "the standard for", theirs and theirs.href or "nothing")
    end
  end
end

-- The same from an https origin, as a program's own transport sees it: never http, never the token.
local asked
local observed = qhub.HubServiceClient {
  base_url = BASE:gsub("^http:", "https:"),
  token = "t0ken-of-the-check",
  max_retries = 0,
  transport = function(request)
    asked[#asked + 1] = request
    local headers = #asked == 1 and { location = locations[asked.index] } or {}
    return { status_code = #asked == 1 and 307 or 200, headers = headers, body = '{"id":"x"}' }
  end,
}
for i, location in ipairs(locations) do
  asked = { index = i }
  observed:get_status "x"
  local second = asked[2]
  if second and not second.url:lower():find "^https://" then
    fail(location, "fell to", second.url)
  elseif second and second.headers.authorization then
    local authority = second.url:match "^[^:]+://([^/?#]*)"
    if authority:lower():gsub(":0*443$", "") ~= "gateway.example" then
      fail(location, "the token went to", second.url)
    end
  end
end

for _, line in ipairs(failures) do
  print(line)
end
local form =
  "redirects: %d Locations, %d refused, %d as the URL standard, %d differ with a reason, %d failed"
print(form:format(#locations, refused, same, listed, #failures))
client:close()
os.exit(#failures == 0 and #locations >= 200 and same > 50, true)
