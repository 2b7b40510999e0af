"use strict";
// What a page does with a mouse or a keyboard: series on and off, values under the pointer, scales, tables, copying.
// Values are read from the drawings themselves: nothing is in the page twice.
const all = (selector, inside = document) => [...inside.querySelectorAll(selector)];
const make = (tag, attributes = {}, text = "") => {
  const found = Object.assign(document.createElement(tag), { textContent: text });
  for (const name in attributes) found.setAttribute(name, attributes[name]);
  return found;
};
const draw = (tag, attributes) => {
  const found = document.createElementNS(document.querySelector("figure svg").namespaceURI, tag);
  for (const name in attributes) found.setAttribute(name, attributes[name]);
  return found;
};
const buttons = all(".legend button");
const names = buttons.map((button) => button.textContent.trim());
const rules = document.head.appendChild(make("style"));
const values = document.body.appendChild(make("div", { id: "values", role: "status" }));
let marked = null;

function show() {
  const off = buttons.filter((b) => b.getAttribute("aria-pressed") === "false").map((b) => b.dataset.series);
  rules.textContent = off.map((n) => `figure [data-series="${n}"]{visibility:hidden}`).join("") +
    (marked === null ? "" : `figure [data-series]:not([data-series="${marked}"]){opacity:.12}`);
  for (const row of all("tr[data-series]")) row.classList.toggle("on", row.dataset.series === marked);
}
function mark(series) {
  if (series !== marked) { marked = series; show(); }
}
for (const button of buttons) {
  button.addEventListener("click", () => {
    button.setAttribute("aria-pressed", String(button.getAttribute("aria-pressed") === "false"));
    show();
  });
}
for (const part of all(".legend button, tr[data-series]")) {
  for (const event of ["pointerenter", "focusin"]) part.addEventListener(event, () => mark(part.dataset.series));
  for (const event of ["pointerleave", "focusout"]) part.addEventListener(event, () => mark(null));
}
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  for (const button of buttons) button.setAttribute("aria-pressed", "true");
  marked = null;
  values.replaceChildren();
  show();
});

// A path as [letter, x, y] with all coordinates; curves keep their numbers.
function points(d) {
  let x = 0, y = 0;
  return [...d.matchAll(/([A-Za-z])([^A-Za-z]*)/g)].map(([, letter, rest]) => {
    const n = rest.trim().split(/[\s,]+/).filter(Boolean).map(Number);
    if (letter === "H") x = n[0];
    else if (letter === "V") y = n[0];
    else if (n.length) [x, y] = n.slice(-2);
    return { letter, x, y, n };
  });
}
const share = (axis, log, value) => log ? Math.log(value / axis.from) / Math.log(axis.to / axis.from) : (value - axis.from) / (axis.to - axis.from);
const place = (axis, log, value) => axis.start + share(axis, log, value) * (axis.end - axis.start);
function read(axis, log, at) {
  const part = (at - axis.start) / (axis.end - axis.start);
  return log ? axis.from * (axis.to / axis.from) ** part : axis.from + part * (axis.to - axis.from);
}
function written(axis, value) {
  const log = axis.log && axis.to > 0, size = log ? Math.abs(value) : Math.abs(axis.to - axis.from);
  const digits = Math.min(6, Math.max(0, 2 - Math.floor(Math.log10(size || 1))));
  return value.toLocaleString("en", { maximumFractionDigits: digits, minimumFractionDigits: log ? 0 : digits });
}
const hidden = (part) => getComputedStyle(part).visibility === "hidden";

for (const svg of all("svg[data-axes]")) {
  const axes = JSON.parse(svg.dataset.axes);
  if (!axes.y?.name) delete axes.y; // heights without a name are no values
  const now = { x: axes.x.log, y: axes.y?.log };
  const middle = (axes.x.start + axes.x.end) / 2;
  const curves = axes.y && svg.querySelector('[data-part="line"] path');
  const lines = () => all('[data-part="line"] path', svg).filter((path) => !hidden(path));
  let at = null;
  const owner = (part) => Number(part.closest("[data-series]").dataset.series);
  function tell(x, y, box) {
    all(".cross", svg).forEach((each) => each.remove());
    const found = [];
    let heading = "";
    if (curves) {
      for (const path of lines()) {
        const steps = points(path.getAttribute("d"));
        const next = steps.findIndex((p, i) => i && p.x >= x && steps[i - 1].x <= x);
        if (next < 0) continue;
        const [a, b] = [steps[next - 1], steps[next]];
        const height = b.x === a.x ? b.y : a.y + (b.y - a.y) * (x - a.x) / (b.x - a.x);
        found.push([owner(path), height, written(axes.y, read(axes.y, now.y, height))]);
      }
      found.sort((a, b) => a[1] - b[1]);
      heading = `${axes.x.name} ${written(axes.x, read(axes.x, now.x, x))}`;
      svg.append(draw("line", { class: "cross", x1: x, x2: x, y1: axes.y.start, y2: axes.y.end }));
    } else {
      const near = all("[data-series] use", svg).filter((use) => !hidden(use)).map((use) => {
        const [px, py] = [Number(use.getAttribute("x")), Number(use.getAttribute("y"))];
        return [Math.hypot(px - x, py - y), use, px, py];
      }).sort((a, b) => a[0] - b[0])[0];
      if (near && near[0] < 12) {
        const [, use, px, py] = near;
        heading = `${axes.x.name} ${written(axes.x, read(axes.x, now.x, px))}`;
        found.push([owner(use), py, axes.y ? `${axes.y.name} ${written(axes.y, read(axes.y, now.y, py))}` : ""]);
      }
    }
    values.replaceChildren();
    if (!found.length) return;
    values.append(make("b", {}, heading), ...found.map(([n, , text]) => {
      const row = make("div");
      row.append(make("i", { style: `background:var(--c${n % 7})` }), `${names[n] ?? ""} ${text}`);
      return row;
    }));
    const { width, height } = values.getBoundingClientRect();
    values.style.left = `${Math.max(4, Math.min(box.x + 14, innerWidth - width - 8))}px`;
    values.style.top = `${Math.max(4, box.y + 16 + height > innerHeight ? box.y - height - 10 : box.y + 16)}px`;
  }
  function away() {
    at = null;
    all(".cross", svg).forEach((each) => each.remove());
    values.replaceChildren();
  }
  if (curves || svg.querySelector("[data-series] use")) svg.setAttribute("tabindex", "0"); // it has something to tell
  svg.addEventListener("pointermove", (event) => {
    const { x, y } = new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse());
    if (x < axes.x.start || x > axes.x.end) return away();
    tell(at = x, y, { x: event.clientX, y: event.clientY });
  });
  svg.addEventListener("pointerleave", away);
  svg.addEventListener("focusout", away);
  svg.addEventListener("keydown", (event) => {
    const way = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!way) return;
    event.preventDefault();
    let height = axes.y?.end;
    const marks = all("[data-series] use", svg).filter((use) => !hidden(use));
    const ordered = marks.map((use) => [Number(use.getAttribute("x")), Number(use.getAttribute("y"))]).sort((a, b) => a[0] - b[0]);
    if (curves) {
      const where = lines().flatMap((path) => points(path.getAttribute("d")).map((p) => p.x));
      const [first, last] = [Math.min(...where), Math.max(...where)], step = way * (axes.x.end - axes.x.start) / 50;
      at = at === null ? (way > 0 ? first : last) : Math.max(first, Math.min(last, at + step));
      if (!where.length) return away();
    } else {
      const here = at ?? way * -Infinity;
      const next = way > 0 ? ordered.find((p) => p[0] > here + 0.01) : ordered.findLast((p) => p[0] < here - 0.01);
      if (!next) return;
      [at, height] = next;
    }
    tell(at, height, new DOMPoint(at, height).matrixTransform(svg.getScreenCTM()));
  });

  // The other scale: every place is read on the old one and written on the new one; both ends stay.
  function rescale(name) {
    const axis = axes[name], group = svg.querySelector(`[data-axis="${name}"]`), log = !now[name];
    const move = (at) => (at - axis.start) * (at - axis.end) >= 0 ? at : place(axis, log, read(axis, axis.log, at));
    now[name] = log;
    for (const part of all("path[d], use[x]", svg)) {
      if (part.closest("[data-axis], defs, clipPath")) continue;
      part.before_ ??= part.tagName === "path" ? part.getAttribute("d") : [part.getAttribute("x"), part.getAttribute("y")];
      const x = (at) => now.x === axes.x.log ? at : name === "x" ? move(at) : at;
      if (part.tagName === "use") { part.setAttribute("x", x(Number(part.before_[0]))); continue; }
      part.setAttribute("d", points(part.before_).map(({ letter, x: px, y, n }) =>
        letter === "H" ? `H${x(px)}` : letter === "V" ? `V${y}` : letter + n.map((v, i) => i % 2 ? v : x(v)).join(" ")).join(""));
    }
    group.style.display = log === axis.log ? "" : "none";
    svg.querySelector(`.other-${name}`)?.remove();
    if (log === axis.log) return;
    const own = draw("g", { class: `other-${name}` }), label = all("text", group).at(-1).cloneNode(true);
    const base = svg.viewBox.baseVal.height, line = axes.y?.start ?? base - 30;
    for (const tick of ticks(axis.from, axis.to, log)) {
      const at = place(axis, log, tick);
      const text = draw("text", { x: at, y: line + 12, style: "font:7px var(--type);text-anchor:middle;fill:var(--ink)" });
      text.textContent = tick.toLocaleString("en", { notation: "compact", maximumSignificantDigits: 3 });
      own.append(draw("path", { d: `M${at} ${line}V${line + 3}`, style: "stroke:var(--ink);stroke-width:.6" }), text);
    }
    own.append(label);
    svg.append(own);
  }
  if (axes.x.from > 0 && axes.x.to / axes.x.from >= 3 && axes.y && svg.querySelector('[data-axis="x"]')) {
    const button = make("button", { type: "button", class: "small" });
    const name = () => { button.textContent = now.x ? "linear axis" : "logarithmic axis"; };
    button.addEventListener("click", () => { rescale("x"); name(); });
    name();
    svg.closest("figure").querySelector("figcaption").append(" ", button);
  }
}
function ticks(from, to, log) {
  if (log) {
    const found = [];
    for (let k = Math.floor(Math.log10(from)); k <= Math.log10(to); k++) found.push(...[1, 2, 5].map((m) => m * 10 ** k));
    const inside = found.filter((t) => t >= from && t <= to);
    return inside.length > 9 ? inside.filter((t) => Number.isInteger(Math.log10(t))) : inside;
  }
  const rough = (to - from) / 5, size = 10 ** Math.floor(Math.log10(rough));
  const step = size * [1, 2, 5, 10].find((m) => m * size >= rough);
  return Array.from({ length: 12 }, (_, i) => Math.ceil(from / step) * step + i * step).filter((t) => t <= to);
}

function sort(header) {
  const column = header.cellIndex, body = header.closest("table").tBodies[0];
  const down = header.getAttribute("aria-sort") === "ascending", way = down ? -1 : 1;
  for (const other of header.parentNode.cells) other.removeAttribute("aria-sort");
  header.setAttribute("aria-sort", down ? "descending" : "ascending");
  const numeric = header.classList.contains("number");
  const keyed = [...body.rows].map((row) => {
    const cell = row.cells[column];
    return [numeric ? (cell.dataset.sort === "" ? NaN : Number(cell.dataset.sort)) : cell.textContent, row];
  });
  keyed.sort(([a], [b]) => {
    if (!numeric) return way * a.localeCompare(b, "en", { numeric: true });
    if (isNaN(a) || isNaN(b)) return isNaN(a) - isNaN(b);
    return way * (a - b);
  });
  body.append(...keyed.map(([, row]) => row));
}
for (const table of all("section table")) {
  const body = table.tBodies[0], box = table.parentNode;
  const wide = () => box.toggleAttribute("tabindex", box.scrollWidth > box.clientWidth);
  new ResizeObserver(() => { wide(); if (box.hasAttribute("tabindex")) box.tabIndex = 0; }).observe(box);
  if (body.rows.length < 7 || !table.tHead) continue;
  const input = make("input", { type: "search", class: "filter", placeholder: "filter rows", "aria-label": "Filter rows" });
  input.addEventListener("input", () => {
    const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
    for (const row of body.rows) row.hidden = !words.every((word) => row.textContent.toLowerCase().includes(word));
  });
  box.before(input);
}

async function copy(button, text) {
  let done = true;
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const area = document.body.appendChild(make("textarea", {}, text));
    area.select();
    done = document.execCommand("copy");
    area.remove();
    button.focus();
  }
  const line = text.trim().replace(/\s+/g, " "), short = line.length > 60 ? `${line.slice(0, 58)}…` : line;
  const said = make("span", { class: "copied", role: "status" }, done ? `copied: ${short}` : "this browser does not allow copying");
  button.parentNode.querySelector(".copied")?.remove();
  button.after(said);
  setTimeout(() => said.remove(), 4000);
}
for (const pre of all("pre")) {
  const button = make("button", { type: "button", class: "small" }, "copy");
  button.addEventListener("click", () => copy(button, pre.textContent));
  pre.tabIndex = 0;
  pre.before(button);
}
document.addEventListener("click", (event) => {
  const header = event.target.closest("th button"), part = event.target.closest("[data-copy]");
  if (header) sort(header.closest("th"));
  if (!part) return;
  const source = document.getElementById(part.dataset.copy);
  copy(part, (source.content ?? source).textContent); // a template's own text is empty
});
const folded = [];
addEventListener("beforeprint", () => all("details:not([open])").forEach((each) => { each.open = true; folded.push(each); }));
addEventListener("afterprint", () => folded.splice(0).forEach((each) => { each.open = false; }));
