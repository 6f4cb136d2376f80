// Tables of compilations: sorted by a column, searched by any word in a row.
const tableTools = document.querySelector(".table-tools");
const sortable = [...document.querySelectorAll('[data-table="compilations"]')];

function valueIn(row, column) {
  const cell = row.cells[column];
  const exact = cell.querySelector("data");
  return exact ? Number(exact.value) : cell.textContent.trim();
}

function sortBy(table, column, isDown) {
  const rows = [...table.tBodies[0].rows].map((row) => [valueIn(row, column), row]);
  rows.sort(([a], [b]) => {
    if ((a === "") !== (b === "")) return a === "" ? 1 : -1; // what says nothing is last both ways
    const order = typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b), "en", { numeric: true });
    return isDown ? -order : order;
  });
  table.tBodies[0].append(...rows.map(([, row]) => row));
  [...table.tHead.rows[0].cells].forEach((head, place) => {
    if (place === column) head.setAttribute("aria-sort", isDown ? "descending" : "ascending");
    else head.removeAttribute("aria-sort");
  });
}

function filterRows(text) {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  let [shown, all] = [0, 0];
  for (const table of sortable) {
    for (const row of table.tBodies[0].rows) {
      const said = row.textContent.toLowerCase();
      row.hidden = !words.every((word) => said.includes(word));
      shown += !row.hidden;
      all += 1;
    }
  }
  tableTools.querySelector("[role=status]").textContent = words.length
    ? `${shown.toLocaleString("en")} of ${all.toLocaleString("en")}`
    : "";
}

for (const table of sortable) {
  [...table.tHead.rows[0].cells].forEach((head, column) => {
    const button = htmlElement("button", { type: "button" }, ...head.childNodes);
    head.append(button);
    const isNumber = head.classList.contains("number");
    if (head.textContent === "seconds") head.setAttribute("aria-sort", "descending");
    button.addEventListener("click", () => {
      const order = head.getAttribute("aria-sort");
      sortBy(table, column, order ? order === "ascending" : isNumber);
    });
  });
}
if (tableTools) {
  const { sort, find: findRow } = tableTools.elements;
  const names = new Set(sortable.flatMap((table) => [...table.tHead.rows[0].cells].map((head) => head.textContent)));
  sort.append(...[...names].map((name) => htmlElement("option", {}, name)));
  sort.value = "seconds";
  sort.addEventListener("change", () => {
    for (const table of sortable) {
      const column = [...table.tHead.rows[0].cells].findIndex((head) => head.textContent === sort.value);
      if (column >= 0) sortBy(table, column, table.tHead.rows[0].cells[column].classList.contains("number"));
    }
  });
  findRow.addEventListener("input", () => filterRows(findRow.value));
  tableTools.addEventListener("submit", (event) => event.preventDefault());
  tableTools.hidden = false;
}
