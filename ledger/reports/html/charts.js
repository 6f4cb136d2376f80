// The charts that Vega draws: the bars, and the timeline with all that is marked in it.
function drawCharts() {
  const { charts, lengthS } = JSON.parse(document.getElementById("charts-data").textContent);
  const domain = "grid_start";
  const timelines = [];
  const controls = document.querySelector(".controls");
  const narrowest = Math.max(lengthS, 1e-6) / 2 ** 12;
  let [start, stop] = [0, lengthS];

  function tell() {
    const { zoom, position, shown } = controls.elements;
    const width = stop - start;
    const room = lengthS - width;
    zoom.value = Math.log2(lengthS / width) || 0;
    position.value = room > 0 ? (1000 * start) / room : 0;
    position.disabled = room <= 0;
    const digits = width < 1 ? 3 : width < 20 ? 1 : 0;
    const words = `${start.toFixed(digits)} s to ${stop.toFixed(digits)} s`;
    shown.value = words;
    zoom.setAttribute("aria-valuetext", words);
    position.setAttribute("aria-valuetext", words);
  }

  // All timelines of the page show the same time; none shows what is before the session or after it.
  function show(from, width) {
    width = Math.min(Math.max(width, narrowest), lengthS);
    from = Math.min(Math.max(from, 0), lengthS - width);
    [start, stop] = [from, from + width];
    for (const view of timelines) view.signal(domain, [start, stop]).runAsync();
    tell();
  }

  function zoomBy(factor) {
    const width = (stop - start) * factor;
    show((start + stop - width) / 2, width);
  }

  function isSeen(from, to) {
    return Math.abs(from - start) + Math.abs(to - stop) < 1e-9;
  }

  function onKey(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const width = stop - start;
    const steps = {
      ArrowLeft: () => show(start - width / 8, width),
      ArrowRight: () => show(start + width / 8, width),
      "+": () => zoomBy(0.5),
      "=": () => zoomBy(0.5),
      "-": () => zoomBy(2),
      0: () => show(0, lengthS),
      Home: () => show(0, width),
      End: () => show(lengthS, width),
    };
    if (!(event.key in steps)) return;
    steps[event.key]();
    event.preventDefault();
  }

  function listen() {
    const { zoom, position, role, source } = controls.elements;
    zoom.addEventListener("input", () => {
      const width = lengthS / 2 ** Number(zoom.value);
      show((start + stop - width) / 2, width);
    });
    position.addEventListener("input", () => {
      const width = stop - start;
      show(((lengthS - width) * Number(position.value)) / 1000, width);
    });
    const choose = (name, value) => {
      for (const view of timelines) view.signal(name, value).runAsync();
    };
    role.addEventListener("change", () => choose("role_shown", Number(role.value)));
    source.addEventListener("change", () => choose("source_shown", source.value));
    controls.addEventListener("submit", (event) => event.preventDefault());
    controls.addEventListener("reset", () => {
      setTimeout(() => {
        choose("role_shown", -1);
        choose("source_shown", "");
        show(0, lengthS);
        tell();
      });
    });
    controls.hidden = false;
    tell();
  }

  async function draw(name) {
    const { view } = await vegaEmbed(`#${name}`, charts[name], {
      mode: "vega", renderer: "svg", ast: true, actions: false, defaultStyle: false,
      tooltip: { disableDefaultStyle: true },
    });
    // Its thousands of marks are no text to be read out: the page has a table of the same.
    view.container().querySelector("svg").setAttribute("aria-hidden", "true");
    if (!name.endsWith("timeline")) return;
    timelines.push(view);
    view.addSignalListener(domain, (_, range) => {
      const [from, to] = range ?? [0, lengthS];
      // What is set while a view takes in an event is lost to those of its parts that were before.
      if (!isSeen(from, to)) view.runAfter(() => show(from, to - from));
    });
    document.getElementById(name).addEventListener("keydown", onKey);
  }

  const began = performance.now();
  Promise.all(Object.keys(charts).map(draw)).then(() => {
    if (timelines.length) listen();
    document.documentElement.dataset.drawnMs = Math.round(performance.now() - began);
  });
}

// After the browser has shown what the page says first. Vega itself is read after this script.
document.documentElement.dataset.openedMs = Math.round(performance.now());
requestAnimationFrame(() => setTimeout(() => {
  if (document.readyState === "loading") addEventListener("DOMContentLoaded", drawCharts);
  else drawCharts();
}));
