"use strict";
// Tables are sorted by a click on a head; charts are drawn when they come near; printing shows everything.
const words = new Intl.Collator("en", { numeric: true });

function order(column, numeric, down) {
  return (one, other) => {
    const [x, y] = [one, other].map((row) => row.cells[column].dataset.sort);
    if (x === "" || y === "") return (x === "") - (y === "");  // n/a is last in both directions
    const by = numeric ? Number(x) - Number(y) : words.compare(x, y);
    return down ? -by : by;
  };
}

function sort(table, head) {
  const down = head.getAttribute("aria-sort") === "ascending";
  for (const other of head.parentElement.cells) other.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", down ? "descending" : "ascending");
  const rows = [...table.tBodies[0].rows].sort(order(head.cellIndex, head.dataset.numeric !== undefined, down));
  table.tBodies[0].append(...rows);
}

for (const table of document.querySelectorAll("table.sortable")) {
  for (const head of table.tHead.rows[0].cells) {
    head.querySelector("button").addEventListener("click", () => sort(table, head));
  }
}

const waiting = new Set(document.querySelectorAll("[data-chart]"));

function draw(box) {
  if (!waiting.delete(box)) return;
  const spec = JSON.parse(document.getElementById(box.dataset.chart).textContent);
  vegaEmbed(box, spec, { actions: false, renderer: "svg", ast: true, tooltip: false, defaultStyle: false, logLevel: 1 })
    .catch((error) => { box.textContent = "The chart could not be drawn: " + error.message; });
}

const near = new IntersectionObserver((entries) => {
  for (const entry of entries) if (entry.isIntersecting) draw(entry.target);
}, { rootMargin: "600px" });
for (const box of waiting) near.observe(box);

let closed = [];
addEventListener("beforeprint", () => {
  closed = [...document.querySelectorAll("details:not([open])")];
  for (const part of closed) part.open = true;
  for (const box of [...waiting]) draw(box);
});
addEventListener("afterprint", () => { for (const part of closed) part.open = false; });
