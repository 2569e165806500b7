-- Draws what stands on a terminal as SVG: the picture in the README.
--
--   lua5.4 scripts/terminal_svg.lua TITLE <TEXT >docs/watch.svg
--
-- TEXT is lines with SGR colours, such as one drawing of examples/watch.lua; other control
-- sequences are dropped.

local COLOURS = {
  ["1"] = "font-weight='bold'",
  ["2"] = "fill='#8b949e'",
  ["31"] = "fill='#ff7b72'",
  ["32"] = "fill='#7ee787'",
  ["33"] = "fill='#e3b341'",
  ["34"] = "fill='#79c0ff'",
  ["35"] = "fill='#d2a8ff'",
}
local WIDTH, LINE, MARGIN, BAR = 8.4, 20, 16, 28 -- of a character, a line, around, of the title

local function escaped(text)
  return (text:gsub("[&<>]", { ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;" }))
end

local function spans(line)
  line = line:gsub("\27%[[%d;]*[A-Zac-ln-z]", ""):gsub("\r", "")
  local pieces, style = {}, nil
  for text, codes in (line .. "\27[0m"):gmatch "(.-)\27%[([%d;]*)m" do
    if text ~= "" then
      local piece = escaped(text)
      pieces[#pieces + 1] = style and ("<tspan %s>%s</tspan>"):format(style, piece) or piece
    end
    style = COLOURS[codes]
  end
  return table.concat(pieces)
end

local title, lines, columns = arg[1] or "", {}, 0
for line in io.lines() do
  lines[#lines + 1] = spans(line)
  columns = math.max(columns, utf8.len((lines[#lines]:gsub("<[^>]*>", ""))))
end
local width = math.ceil(2 * MARGIN + columns * WIDTH)
local height = BAR + 2 * MARGIN + #lines * LINE - 6
print(
  ("<svg xmlns='http://www.w3.org/2000/svg' width='%d' height='%d' viewBox='0 0 %d %d'>"):format(
    width,
    height,
    width,
    height
  )
)
print("<rect width='100%' height='100%' rx='8' fill='#0d1117'/>")
for index, colour in ipairs { "#ff5f56", "#ffbd2e", "#27c93f" } do
  print(("<circle cx='%d' cy='15' r='5' fill='%s'/>"):format(4 + index * 16, colour))
end
local font = "font-family='ui-monospace,Menlo,Consolas,monospace' font-size='14'"
print(("<g %s fill='#e6edf3' xml:space='preserve'>"):format(font))
print(("<text x='76' y='20' fill='#8b949e'>%s</text>"):format(escaped(title)))
for index, line in ipairs(lines) do
  print(("<text x='%d' y='%d'>%s</text>"):format(MARGIN, BAR + MARGIN + index * LINE - 8, line))
end
print "</g>\n</svg>"
