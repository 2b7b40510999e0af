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
const share = ({ log, from, to }, value) => log ? Math.log(value / from) / Math.log(to / from) : (value - from) / (to - from);
const place = (axis, value) => axis.start + share(axis, value) * (axis.end - axis.start);
function read({ log, from, to, start, end }, at) {
  const part = (at - start) / (end - start);
  return log ? from * (to / from) ** part : from + part * (to - from);
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
  const now = { ...axes }; // as they are shown
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
        found.push([owner(path), height, written(now.y, read(now.y, height))]);
      }
      found.sort((a, b) => a[1] - b[1]);
      heading = `${axes.x.name} ${written(now.x, read(now.x, x))}`;
      svg.append(draw("line", { class: "cross", x1: x, x2: x, y1: axes.y.start, y2: axes.y.end }));
    } else {
      const near = all("[data-series] use", svg).filter((use) => !hidden(use)).map((use) => {
        const [px, py] = [Number(use.getAttribute("x")), Number(use.getAttribute("y"))];
        return [Math.hypot(px - x, py - y), use, px, py];
      }).sort((a, b) => a[0] - b[0])[0];
      if (near && near[0] < 12) {
        const [, use, px, py] = near;
        heading = `${axes.x.name} ${written(now.x, read(now.x, px))}`;
        found.push([owner(use), py, axes.y ? `${axes.y.name} ${written(now.y, read(now.y, py))}` : ""]);
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
      if (!where.length) return away();
      const [first, last] = [Math.min(...where), Math.max(...where)], step = way * (axes.x.end - axes.x.start) / 50;
      at = at === null ? (way > 0 ? first : last) : Math.max(first, Math.min(last, at + step));
    } else {
      const here = at ?? way * -Infinity;
      const next = way > 0 ? ordered.find((p) => p[0] > here + 0.01) : ordered.findLast((p) => p[0] < here - 0.01);
      if (!next) return;
      [at, height] = next;
    }
    tell(at, height, new DOMPoint(at, height).matrixTransform(svg.getScreenCTM()));
  });

  // Another scale: every place is read on the old one and written on the new one; both ends of the axis stay.
  function shown(name) {
    const axis = axes[name], other = now[name];
    return other === axis ? (at) => at : (at) => (at - axis.start) * (at - axis.end) >= 0 ? at : place(other, read(axis, at));
  }
  const optimum = svg.querySelector('[data-part="optimum-line"] path'), word = svg.querySelector('[data-part="optimum-word"] text');
  const above = word && optimum && Number(word.getAttribute("y")) - points(optimum.getAttribute("d"))[0].y;
  function rescale(name, other) {
    now[name] = other;
    const x = shown("x"), y = shown("y");
    for (const part of all("path[d], use[x]", svg)) {
      if (part.closest("[data-axis], defs, clipPath, .other-x, .other-y")) continue;
      part.before_ ??= part.tagName === "path" ? part.getAttribute("d") : [part.getAttribute("x"), part.getAttribute("y")];
      if (part.tagName === "use") {
        part.setAttribute("x", x(Number(part.before_[0])));
        part.setAttribute("y", y(Number(part.before_[1])));
      } else if (now.x === axes.x && now.y === axes.y) {
        part.setAttribute("d", part.before_);
      } else if (part.closest('[data-part="leader"]')) { // from a curve to its name, which stays where it is
        const [curve, label] = points(part.before_);
        part.setAttribute("d", `M${x(curve.x)} ${y(curve.y)}L${label.x} ${label.y}`);
      } else {
        part.setAttribute("d", points(part.before_).map(({ letter, x: px, y: py, n }) =>
          letter === "H" ? `H${x(px)}` : letter === "V" ? `V${y(py)}` : letter + n.map((v, i) => i % 2 ? y(v) : x(v)).join(" ")).join(""));
      }
    }
    if (word && optimum) word.setAttribute("y", y(points(optimum.before_)[0].y) + above);
    const axis = axes[name], group = svg.querySelector(`[data-axis="${name}"]`);
    group.style.display = other === axis ? "" : "none";
    svg.querySelector(`.other-${name}`)?.remove();
    if (other === axis) return;
    const own = draw("g", { class: `other-${name}` }), left = axes.x.start, foot = axes.y.start;
    for (const tick of ticks(other.from, other.to, other.log)) {
      const at = place(other, tick), across = name === "x";
      const text = draw("text", {
        x: across ? at : left - 5, y: across ? foot + 12 : at + 2.5,
        style: `font:7px var(--type);text-anchor:${across ? "middle" : "end"};fill:var(--ink)`,
      });
      text.textContent = tick.toLocaleString("en", { notation: "compact", maximumSignificantDigits: 3 });
      const line = across ? `M${at} ${foot}V${foot + 3}` : `M${left} ${at}H${left - 3}`;
      own.append(draw("path", { d: line, style: "stroke:var(--ink);stroke-width:.6" }), text);
    }
    own.append(all("text", group).at(-1).cloneNode(true));
    svg.append(own);
  }
  for (const name of axes.y ? ["x", "y"] : []) {
    const axis = axes[name], from = axis.from > 0 ? axis.from : least(name);
    // Places are rounded to a twentieth of a point (svg.py): no logarithms of values that this would change by much.
    const told = axis.log ? 0 : 0.4 * (axis.to - axis.from) / Math.abs(axis.end - axis.start);
    if (!(from > told && axis.to / from >= 3) || !svg.querySelector(`[data-axis="${name}"]`)) continue;
    const button = make("button", { type: "button", class: "small" }), other = { ...axis, from, log: !axis.log };
    const write = () => { button.textContent = `${now[name].log ? "linear" : "logarithmic"} ${name} axis`; };
    button.addEventListener("click", () => { rescale(name, now[name] === axis ? other : axis); write(); });
    write();
    svg.closest("figure").querySelector("figcaption").append(" ", button);
  }
  // The smallest value that is drawn, the optimum's among them: where an axis begins below zero, a logarithmic one begins there.
  function least(name) {
    const parts = all("[data-part] path[d], [data-part] use[x]", svg).filter((part) => !part.closest("defs"));
    const drawn = parts.flatMap((part) =>
      part.tagName === "use" ? Number(part.getAttribute(name)) : points(part.getAttribute("d")).map((p) => p[name]));
    const { start, end } = axes[name];
    return Math.min(...drawn.filter((at) => (at - start) * (at - end) < 0).map((at) => read(axes[name], at)));
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
