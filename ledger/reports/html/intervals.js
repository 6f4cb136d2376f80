// Intervals one by one: found by name, followed by a link or a click, marked, and named by the page's address.
const markedWords = document.querySelector(".marked");
let matches = [];
let matchAt = -1;
let searched = "";

function addressOf(process, interval) {
  return `#interval=${encodeURIComponent(process)}/${interval}`;
}

// What is clicked is marked where it is; the address says so, that the reader can send it to somebody.
function follow(lane, { kind, i, number }) {
  if (Number(number) > 1) return;
  const { interval } = columnsIn(lane.side, kind, lane.place);
  if (interval[i] === null) return; // several that the page has not one by one
  history.pushState(null, "", addressOf(lane.process.id, interval[i]));
  openAddress(false);
}

function placeOf(process, interval) {
  for (const lane of lanes) {
    if (lane.process.id !== process) continue;
    const i = columnsIn(lane.side, "all", lane.place).interval.indexOf(interval);
    if (i >= 0) return { lane, i };
  }
  return null;
}

function markInterval({ lane, i }, isTold) {
  for (const other of lanes) other.marked = null;
  lane.marked = i;
  if (lane.element.hidden) showLanes(lanes);
  if (isTold) lane.toggle(true);
  const columns = columnsIn(lane.side, "all", lane.place);
  const [from, length] = [columns.start[i], columns.length[i]];
  const width = plots.get(lane.side).axis.clientWidth || 600;
  const pixels = (length / (view[1] - view[0])) * width;
  const isSeen = from >= view[0] && from + length <= view[1] && pixels > 8;
  if (isTold && !isSeen) look(from - length, from + 2 * length);
  else look(...view);
  const name = nameIn(lane.side, "all", lane.place, i);
  const least = columns.flag[i] === 2 ? "at least " : "";
  const link = htmlElement("a", { href: addressOf(lane.process.id, columns.interval[i]) }, name);
  markedWords.replaceChildren(
    "Marked: ", link,
    `, ${least}${inSeconds(length)}, from ${inSeconds(from)} on, in ${lane.process.name}` +
      (columns.flag[i] === 1 ? "; failed" : ""),
  );
  if (!isTold) return;
  drawWaterfalls();
  const mark = lane.svg.querySelector(".mark") ?? lane.element;
  mark.scrollIntoView({ block: "center" });
  plots.get(lane.side).element.focus({ preventScroll: true });
}

function openAddress(isTold = true) {
  const found = /^#interval=(.*)\/(-?\d+)$/.exec(location.hash);
  if (!found) return;
  let process = found[1];
  try {
    process = decodeURIComponent(process);
  } catch {
    // A percent sign that stands for itself.
  }
  const place = placeOf(process, Number(found[2]));
  if (place) markInterval(place, isTold);
  else {
    markedWords.textContent = `No interval ${found[2]} of the process ${process} is on this page.`;
    if (isTold) markedWords.scrollIntoView({ block: "center" });
  }
}

function search(text) {
  searched = text;
  [matches, matchAt] = [[], -1];
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  for (const lane of words.length ? lanes : []) {
    const { stages, abouts, of } = allIntervals(lane.side);
    const { stage, about, interval } = of(lane.place);
    // The same few texts come again and again.
    const seen = new Map();
    for (let i = 0; i < stage.length; i++) {
      if (interval[i] === null) continue;
      const key = stage[i] * abouts.length + about[i];
      if (!seen.has(key)) {
        const name = `${stages[stage[i]]} ${abouts[about[i]]}`.toLowerCase();
        seen.set(key, words.every((word) => name.includes(word)));
      }
      if (seen.get(key)) matches.push({ lane, i });
    }
  }
  sayMatches();
}

function sayMatches() {
  const output = tools.querySelector(".matches");
  if (!searched.trim()) output.textContent = "";
  else if (matchAt < 0) output.textContent = `${matches.length.toLocaleString("en")} found`;
  else output.textContent = `${(matchAt + 1).toLocaleString("en")} of ${matches.length.toLocaleString("en")}`;
}

function goToMatch(step) {
  if (!matches.length) return;
  matchAt = matchAt < 0 ? (step > 0 ? 0 : matches.length - 1) : (matchAt + step + matches.length) % matches.length;
  const focused = document.activeElement;
  markInterval(matches[matchAt], true);
  focused?.focus({ preventScroll: true });
  sayMatches();
}

const { find, previous, next } = tools.elements;
find.addEventListener("input", () => search(find.value));
previous.addEventListener("click", () => goToMatch(-1));
next.addEventListener("click", () => goToMatch(1));
tools.addEventListener("submit", (event) => event.preventDefault());
find.addEventListener("keydown", (event) => {
  if (event.key === "Enter") goToMatch(event.shiftKey ? -1 : 1);
});
addEventListener("hashchange", () => openAddress());
// A link to what is marked already changes no address.
document.addEventListener("click", (event) => {
  const link = event.target.closest?.('a[href^="#interval="]');
  if (!link || link.getAttribute("href") !== location.hash) return;
  event.preventDefault();
  openAddress();
});
openAddress();
