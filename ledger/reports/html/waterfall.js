// The waterfall as a whole: its lanes, which all show the same time, and how a reader zooms.
const startView = [0, Math.max(...sides.map((side) => waterfalls[side].shown), 1)];
const wholeView = [
  Math.min(...sides.map((side) => waterfalls[side].first)),
  Math.max(...sides.map((side) => waterfalls[side].length), 1),
];
const tools = document.querySelector(".waterfall-tools");
const lanes = [];
const plots = new Map(); // by side: the element, its axis and its lanes
const tip = htmlElement("div", { class: "tip", "aria-hidden": "true" });
let view = [...startView];
let isDrawing = false;

// Shows the time between two moments, once for all that is asked for until the screen is drawn anew.
function look(from, to) {
  const width = Math.min(Math.max(to - from, 20), wholeView[1] - wholeView[0]);
  from = Math.min(Math.max(from, wholeView[0]), wholeView[1] - width);
  view = [from, from + width];
  if (isDrawing) return;
  isDrawing = true;
  requestAnimationFrame(() => {
    isDrawing = false;
    drawWaterfalls();
  });
}

function drawWaterfalls() {
  for (const [side, plot] of plots) {
    const width = Math.max(plot.axis.clientWidth, 60);
    drawAxis(side, plot.axis, width);
    for (const lane of plot.lanes) if (!lane.element.hidden) lane.draw(...view, width);
  }
  const digits = view[1] - view[0] < 1e6 ? 3 : 1;
  tools.querySelector(".range").textContent =
    `${(view[0] / 1e6).toFixed(digits)} s to ${(view[1] / 1e6).toFixed(digits)} s`;
}

function drawAxis(side, axis, width) {
  const [from, to] = view;
  const rough = ((to - from) / Math.max(width / 90, 2));
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((n) => n * power).find((n) => n >= rough);
  const digits = Math.max(0, Math.ceil(-Math.log10(step / 1e6) - 1e-9));
  const made = [];
  for (let at = Math.ceil(from / step) * step; at <= to; at += step) {
    const x = ((at - from) / (to - from)) * width;
    const anchor = x < 14 ? "start" : x > width - 14 ? "end" : "middle";
    made.push(svgElement("text", { x, y: 11, "text-anchor": anchor }, `${(at / 1e6).toFixed(digits)} s`));
    made.push(svgElement("line", { x1: x, x2: x, y1: 14, y2: 18 }));
  }
  const taken = [];
  for (const [at, name] of waterfalls[side].milestones) {
    const x = ((at - from) / (to - from)) * width;
    if (x < 0 || x > width + 1) continue;
    made.push(svgElement("line", { class: "reached", x1: x, x2: x, y1: 18, y2: 34 }));
    const long = name.length * LETTER;
    const begin = x + 4 + long > width ? x - 4 - long : x + 4;
    if (taken.some(([left, right]) => begin < right + 6 && left < begin + long + 6)) continue;
    made.push(svgElement("text", { x: begin, y: 30, class: "name" }, name));
    taken.push([begin, begin + long]);
  }
  axis.setAttribute("viewBox", `0 0 ${width} 34`);
  axis.setAttribute("width", width);
  axis.setAttribute("height", 34);
  axis.replaceChildren(...made);
}

function build(side) {
  const element = document.getElementById(`${side}-waterfall`);
  const axis = svgElement("svg", { class: "axis", "aria-hidden": "true" });
  const own = waterfalls[side].processes.map((_, place) => new Lane(side, place));
  element.append(htmlElement("div", { class: "lane" }, htmlElement("span", {}), axis));
  element.append(...own.map((lane) => lane.element));
  plots.set(side, { element, axis, lanes: own });
  lanes.push(...own);
  for (const lane of own) {
    lane.button.addEventListener("click", () => {
      lane.toggle();
      drawWaterfalls();
    });
  }
  hideSmall(element, side, own);
  listenTo(element, own);
}

// A start has dozens of helpers that live for a moment: the longest lives are shown, and the others on demand.
function hideSmall(element, side, own) {
  const { length } = waterfalls[side];
  const lived = (lane) => (lane.process.ended ?? length) - lane.process.began;
  const small = [...own].sort((a, b) => lived(b) - lived(a)).slice(LANES);
  if (!small.length) return;
  for (const lane of small) lane.element.hidden = true;
  const more = htmlElement("button", { type: "button", class: "more" }, `Show ${small.length} more processes`);
  more.addEventListener("click", () => showLanes(small));
  element.append(more);
}

function showLanes(hidden) {
  for (const lane of hidden) lane.element.hidden = false;
  for (const { element, lanes: own } of plots.values()) {
    if (own.every((lane) => !lane.element.hidden)) element.querySelector(".more")?.remove();
  }
  drawWaterfalls();
}

function zoomView(factor, around = (view[0] + view[1]) / 2) {
  look(around - (around - view[0]) * factor, around + (view[1] - around) * factor);
}

function listenTo(element, own) {
  const band = htmlElement("div", { class: "band", hidden: "" });
  element.append(band);
  let drag = null;
  const laneAt = (event) => own.find((lane) => lane.element.contains(event.target));
  const box = () => plots.get(own[0].side).axis.getBoundingClientRect();
  const moment = (x) => view[0] + ((x - box().left) / box().width) * (view[1] - view[0]);

  element.addEventListener("pointerdown", (event) => {
    if (event.button !== 0 || event.target.closest("button") || event.clientX < box().left) return;
    drag = { x: event.clientX, at: moment(event.clientX), isLong: false, event };
  });
  element.addEventListener("pointermove", (event) => {
    if (!drag) return showTip(event, laneAt(event));
    if (!drag.isLong && Math.abs(event.clientX - drag.x) < 4) return;
    if (!drag.isLong) element.setPointerCapture(event.pointerId);
    drag.isLong = true;
    tip.hidden = true;
    const [left, right] = [drag.x, event.clientX].sort((a, b) => a - b);
    const outer = element.getBoundingClientRect();
    band.hidden = false;
    band.style.left = `${Math.max(left, box().left) - outer.left}px`;
    band.style.width = `${Math.min(right, box().right) - Math.max(left, box().left)}px`;
  });
  const end = (event) => {
    const was = drag;
    drag = null;
    band.hidden = true;
    if (event.type !== "pointerup" || !was) return;
    if (was.isLong) {
      const [from, to] = [was.at, moment(event.clientX)].sort((a, b) => a - b);
      look(from, to);
    } else if (event.target.dataset?.i !== undefined) follow(laneAt(event), event.target.dataset);
  };
  element.addEventListener("pointerup", end);
  element.addEventListener("pointercancel", end);
  element.addEventListener("pointerleave", () => (tip.hidden = true));
  element.addEventListener("dblclick", (event) => event.target.closest("button") || look(...startView));
  element.addEventListener("wheel", (event) => {
    if (!event.ctrlKey && !event.metaKey) return;
    event.preventDefault();
    zoomView(1.2 ** Math.sign(event.deltaY), moment(event.clientX));
  }, { passive: false });
  element.addEventListener("keydown", (event) => {
    if (event.key === "Escape") {
      drag = null;
      band.hidden = true;
    }
    onViewKey(event);
  });
}

function onViewKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("button")) return;
  const width = view[1] - view[0];
  const steps = {
    ArrowLeft: () => look(view[0] - width / 8, view[1] - width / 8),
    ArrowRight: () => look(view[0] + width / 8, view[1] + width / 8),
    "+": () => zoomView(0.5),
    "=": () => zoomView(0.5),
    "-": () => zoomView(2),
    0: () => look(...startView),
    Home: () => look(startView[0], startView[0] + width),
    End: () => look(wholeView[1] - width, wholeView[1]),
  };
  if (!(event.key in steps)) return;
  steps[event.key]();
  event.preventDefault();
}

function showTip(event, lane) {
  const { kind, i, number } = event.target.dataset ?? {};
  const style = event.target.getAttribute?.("class");
  const words = [];
  if (i !== undefined && Number(number) > 1) words.push(`${Number(number)} intervals, too short to be told apart; zoom in`);
  else if (i !== undefined) {
    const columns = columnsIn(lane.side, kind, lane.place);
    const least = columns.flag[i] === 2 ? "at least " : "";
    words.push(
      nameIn(lane.side, kind, lane.place, i),
      `${least}${inSeconds(columns.length[i])}, from ${inSeconds(columns.start[i])} on${columns.flag[i] === 1 ? ", failed" : ""}`,
    );
  } else if (style === "hole") words.push("unattributed");
  else if (style === "after") words.push("no part of the start");
  else if (style === "reached") words.push(event.target.dataset.name);
  tip.hidden = !words.length || !lane;
  if (tip.hidden) return;
  words.push(lane.process.name);
  tip.replaceChildren(...words.map((text) => htmlElement("div", {}, text)));
  const left = Math.min(event.clientX + 12, innerWidth - tip.offsetWidth - 8);
  const top = event.clientY + 18 + tip.offsetHeight > innerHeight ? event.clientY - tip.offsetHeight - 10 : event.clientY + 18;
  tip.style.left = `${Math.max(left, 4)}px`;
  tip.style.top = `${Math.max(top, 4)}px`;
}

document.body.append(tip);
tip.hidden = true;
for (const side of sides) build(side);
const { closer, wider, start: startButton, whole } = tools.elements;
closer.addEventListener("click", () => zoomView(0.5));
wider.addEventListener("click", () => zoomView(2));
startButton.addEventListener("click", () => look(...startView));
whole.addEventListener("click", () => look(...wholeView));
tools.hidden = false;
drawWaterfalls();
let widthSeen = innerWidth;
addEventListener("resize", () => {
  if (innerWidth === widthSeen) return;
  widthSeen = innerWidth;
  look(...view);
});
