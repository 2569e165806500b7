-- Tables and goals on the terminal, and the plot for the README.

local report = { goals = {}, panels = {} }

--- A heading.
function report.heading(text)
  print("\n## " .. text .. "\n")
end

--- A line of text below a table.
function report.note(format, ...)
  print("\n" .. format:format(...))
end

--- Prints rows of texts in columns, as a Markdown table; numbers to the right.
function report.table(head, rows)
  local width = {}
  for _, row in ipairs { head, table.unpack(rows) } do
    for column, text in ipairs(row) do
      width[column] = math.max(width[column] or 3, utf8.len(text))
    end
  end
  local function line(row, blank)
    local cells = {}
    for column, wide in ipairs(width) do
      local text = row[column] or ""
      local fill = (blank or " "):rep(wide - utf8.len(text))
      cells[column] = column == 1 and text .. fill or fill .. text
    end
    print("| " .. table.concat(cells, " | ") .. " |")
  end
  line(head)
  local rule = {}
  for column, wide in ipairs(width) do
    rule[column] = column == 1 and ("-"):rep(wide) or ("-"):rep(wide - 1) .. ":"
  end
  line(rule)
  for _, row in ipairs(rows) do
    line(row)
  end
end

--- Notes how a goal was met: `value` must be at most (or with `sense` ">=" at least) `limit`.
function report.goal(what, value, sense, limit)
  local met
  if sense == "<=" then
    met = value <= limit
  elseif sense == "<" then
    met = value < limit
  else
    met = value >= limit
  end
  table.insert(report.goals, {
    what,
    ("%.4g"):format(value),
    ("%s %.4g"):format(sense, limit),
    met and "met" or "missed",
  })
end

--- Prints all goals. Returns whether all are met.
function report.print_goals()
  local is_met = true
  for _, goal in ipairs(report.goals) do
    is_met = is_met and goal[4] == "met"
  end
  if #report.goals > 0 then
    report.heading "Goals"
    report.table({ "goal", "measured", "wanted", "" }, report.goals)
  end
  return is_met
end

--- Adds a panel of bars to the plot: rows of { label, value }.
function report.panel(title, rows)
  table.insert(report.panels, { title = title, rows = rows })
end

local STYLE = [[
set terminal svg size 960,%d dynamic font 'sans-serif,12' background 'white'
set output '%s'
set multiplot layout %d,2
set style data boxes
set style fill solid 0.85 noborder
set boxwidth 0.6
set ytics nomirror
set xtics nomirror scale 0
set grid ytics lc rgb '#dddddd'
set border 1 lc rgb '#888888'
unset key
]]

local function quoted(text)
  return "'" .. text:gsub("'", "''") .. "'"
end

--- Draws the panels with gnuplot.
function report.plot(path)
  local lines = { STYLE:format(((#report.panels + 1) // 2) * 260, path, (#report.panels + 1) // 2) }
  local function add(format, ...)
    lines[#lines + 1] = format:format(...)
  end
  for _, panel in ipairs(report.panels) do
    local tics, most = {}, 0
    for i, row in ipairs(panel.rows) do
      tics[i] = ("%s %d"):format(quoted(row[1]), i)
      most = math.max(most, row[2])
    end
    add("set title %s font ',13'", quoted(panel.title))
    add("set xtics (%s)", table.concat(tics, ", "))
    add("set xrange [0.4:%g]", #panel.rows + 0.6)
    add("set yrange [0:%g]", most * 1.15)
    add "plot '-' using 1:2:3 lc rgb variable, '' using 1:2:4 with labels offset 0,0.7"
    for _ = 1, 2 do
      for i, row in ipairs(panel.rows) do
        local color = row[1] == "qhub" and 0x2060c0 or 0xa8b4c0
        add("%d %g %s", i, row[2], _ == 1 and tostring(color) or ("0 %.3g"):format(row[2]))
      end
      add "e"
    end
  end
  add "unset multiplot"
  local gnuplot = assert(io.popen("gnuplot", "w"))
  gnuplot:write(table.concat(lines, "\n"), "\n")
  if gnuplot:close() then print("\nplot: " .. path) end
end

return report
