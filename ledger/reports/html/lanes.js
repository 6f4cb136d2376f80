// The lanes of the waterfall: what is drawn of a process between two moments. Times are microseconds.
const waterfalls = JSON.parse(document.getElementById("waterfall-data").textContent);
const sides = Object.keys(waterfalls);
const firstSide = waterfalls[sides[0]];
const ROW = 18;
const WIDE_ENOUGH = 36; // pixels that a name needs to be worth its place
const LANES = 14;
const LETTER = 6.2;

function inSeconds(us) {
  return `${(us / 1e6).toFixed(3)} s`;
}

function svgElement(name, attributes, text) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text !== undefined) made.textContent = text;
  return made;
}

function htmlElement(name, attributes, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

// All intervals of a process, read when somebody opens it, looks for one or follows a link.
let readIntervals;
function allIntervals(side) {
  readIntervals ??= JSON.parse(document.getElementById("intervals-data").textContent);
  const { stages, abouts, processes } = readIntervals[side];
  return { stages, abouts, of: (place) => columnsOf(processes[place]) };
}

function columnsOf(columns) {
  if (columns.rows) return columns;
  let at = 0;
  columns.start = columns.start.map((distance) => (at += distance));
  columns.rows = rowsOf(columns.row);
  return columns;
}

// By row: the places of its intervals, the first first.
function rowsOf(row) {
  const rows = [];
  row.forEach((number, place) => (rows[number] ??= []).push(place));
  return Array.from(rows, (places) => places ?? []);
}

function nameIn(side, kind, place, i) {
  if (kind !== "all") return waterfalls[side].names[waterfalls[side].processes[place][kind].name[i]];
  const { stages, abouts, of } = allIntervals(side);
  const { stage, about } = of(place);
  return [stages[stage[i]], abouts[about[i]]].filter(Boolean).join(" ");
}

function columnsIn(side, kind, place) {
  return kind === "all" ? allIntervals(side).of(place) : waterfalls[side].processes[place][kind];
}

// Yields what of a row can be seen: [first place, left, right, how many]. Neighbours that are narrower than a
// pixel are one mark.
function* visible(columns, places, from, perUs, width) {
  let [low, high] = [0, places.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (columns.start[places[middle]] < from) low = middle + 1;
    else high = middle;
  }
  let narrow = null;
  for (let n = Math.max(low - 1, 0); n < places.length; n++) {
    const i = places[n];
    const left = (columns.start[i] - from) * perUs;
    const right = left + columns.length[i] * perUs;
    if (left > width) break;
    if (right < 0) continue;
    if (right - left < 1.5) {
      if (narrow && left - narrow[2] < 1) {
        narrow[2] = Math.max(narrow[2], right);
        narrow[3] += 1;
        continue;
      }
      if (narrow) yield narrow;
      narrow = [i, left, right, 1];
    } else {
      if (narrow) yield narrow;
      narrow = null;
      yield [i, left, right, 1];
    }
  }
  if (narrow) yield narrow;
}

class Lane {
  constructor(side, place) {
    this.side = side;
    this.place = place;
    this.process = waterfalls[side].processes[place];
    this.isOpen = false;
    this.marked = null; // the place of an interval among all of the process
    const { name, pid } = this.process;
    this.button = htmlElement("button", { type: "button", "aria-expanded": "false", title: name });
    this.button.append(htmlElement("span", {}, name));
    if (pid !== null && !name.includes(pid)) this.button.append(htmlElement("small", {}, `pid ${pid}`));
    this.svg = svgElement("svg", { "aria-hidden": "true" });
    this.element = htmlElement("div", { class: "lane" }, this.button, this.svg);
  }

  toggle(isOpen = !this.isOpen) {
    this.isOpen = isOpen;
    this.button.setAttribute("aria-expanded", isOpen);
  }

  draw(from, to, width) {
    const perUs = width / (to - from);
    const { began, ended, after, holes } = this.process;
    const kinds = this.isOpen ? ["all"] : ["stages", "waits"];
    const drawn = [];
    let deepest = 1;
    for (const kind of kinds) {
      const columns = columnsIn(this.side, kind, this.place);
      columns.rows ??= rowsOf(columns.row);
      if (kind !== "waits") deepest = Math.max(deepest, columns.rows.length);
      for (const [row, places] of columns.rows.entries()) {
        for (const mark of visible(columns, places, from, perUs, width)) {
          drawn.push(...this.mark(kind, columns, row, mark, width));
        }
      }
    }
    const height = deepest * ROW;
    const x = (at) => (at - from) * perUs;
    const ground = [
      this.ground(x(began), x(ended ?? waterfalls[this.side].length), width, height, "life"),
      this.ground(x(Math.max(after, began)), x(ended ?? waterfalls[this.side].length), width, height, "after"),
    ];
    for (const [start, length] of holes) {
      if (length * perUs < 1) continue;
      ground.push(this.ground(x(start), x(start + length), width, height, "hole"));
    }
    for (const [at, name] of waterfalls[this.side].milestones) {
      drawn.push(svgElement("line", { class: "reached", x1: x(at), x2: x(at), y1: 0, y2: height, "data-name": name }));
    }
    if (this.marked !== null) drawn.push(this.outline(from, perUs, width));
    for (const [name, value] of [["width", width], ["height", height], ["viewBox", `0 0 ${width} ${height}`]]) {
      this.svg.setAttribute(name, value);
    }
    this.svg.replaceChildren(...ground.filter(Boolean), ...drawn);
  }

  ground(left, right, width, height, style) {
    [left, right] = [Math.max(left, -2), Math.min(right, width + 2)];
    return right > left ? svgElement("rect", { class: style, x: left, y: 0, width: right - left, height }) : null;
  }

  outline(from, perUs, width) {
    const columns = columnsIn(this.side, "all", this.place);
    const left = Math.max((columns.start[this.marked] - from) * perUs, -4) - 1.5;
    const right = Math.min((columns.start[this.marked] - from + columns.length[this.marked]) * perUs, width + 4) + 1.5;
    const y = this.isOpen ? columns.row[this.marked] * ROW : 0;
    return svgElement("rect", { class: "mark", x: left, y, width: Math.max(right - left, 4), height: ROW });
  }

  mark(kind, columns, row, [i, left, right, number], width) {
    const x = Math.max(left, -2);
    const wide = Math.max(Math.min(right, width + 2) - x, 1);
    const family = firstSide.families[columns.family[i]];
    const isWaiting = family === "waiting";
    const flag = ["", " failed", " unended"][columns.flag[i]];
    const place = { x, y: row * ROW + 1, width: wide, height: ROW - 2 };
    const data = { "data-kind": kind, "data-i": i, "data-number": number };
    const made = [svgElement("rect", { ...place, ...data, class: `stage family-${family}${flag}` })];
    if (flag === " unended") made.push(svgElement("rect", { ...place, class: "over" }));
    const begin = Math.max(x, 0);
    const room = Math.floor((Math.min(right, width) - begin - 8) / LETTER);
    if (number === 1 && wide > WIDE_ENOUGH && room > 3) {
      const before = ["", "✕ ", "≥ "][columns.flag[i]];
      const name = before + nameIn(this.side, kind, this.place, i);
      const text = name.length > room ? `${name.slice(0, room - 1)}…` : name;
      const style = isWaiting || flag === " unended" ? "on-paper" : "on-role";
      made.push(svgElement("text", { x: begin + 4, y: row * ROW + 13, class: style }, text));
    }
    return made;
  }
}
