// Line charts: each [data-chart] is drawn from DATA.charts[key]:
// {title, x, y, percent, log, canLog, domain: {x, y}, diagonal, marks: [{x, label}],
//  bars: [[from, to, count]], series: [{name, colour, dash, points: [[x, y]], band: [[x, low, high]]}]}

const HEIGHT = 210; // pixels, as are the next
const TOP = 16;
const FOOT = 26;
const COLOURS = 10;

function niceTicks(low, high, count) {
  const rough = (high - low) / count || 1;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * [1, 2, 2.5, 5, 10].find((factor) => factor * power >= rough * 0.999);
  const ticks = [];
  for (let k = Math.ceil(low / step - 1e-9); k * step <= high + step * 1e-9; k += 1) ticks.push(k * step);
  return { ticks, step };
}

function logTicks(low, high) {
  const ticks = [];
  const fine = Math.log10(high / low) < 2.2 ? [1, 2, 5] : [1];
  for (let k = Math.floor(Math.log10(low)); k <= Math.ceil(Math.log10(high)); k += 1) {
    for (const factor of fine) {
      const tick = factor * 10 ** k;
      if (tick >= low * 0.999 && tick <= high * 1.001) ticks.push(tick);
    }
  }
  const every = Math.ceil(ticks.length / 6);
  return ticks.filter((_, place) => place % every === 0);
}

// A scale from values to pixels, with its ticks.
function scale(low, high, from, to, { log = false, count = 4, nice = false } = {}) {
  if (log) {
    if (low === high) [low, high] = [low / 2, high * 2];
    const [a, b] = [Math.log(low), Math.log(high)];
    return {
      at: (v) => from + ((Math.log(v) - a) / (b - a)) * (to - from),
      back: (p) => Math.exp(a + ((p - from) / (to - from)) * (b - a)),
      ticks: logTicks(low, high),
    };
  }
  if (low === high) {
    const room = Math.abs(low) / 2 || 0.5;
    [low, high] = [low - room, high + room];
  }
  const { ticks, step } = niceTicks(low, high, count);
  if (nice) {
    low = Math.floor(low / step + 1e-9) * step;
    high = Math.ceil(high / step - 1e-9) * step;
  }
  return {
    at: (v) => from + ((v - low) / (high - low)) * (to - from),
    back: (p) => low + ((p - from) / (to - from)) * (high - low),
    ticks: nice ? niceTicks(low, high, count).ticks : ticks,
  };
}

class Chart {
  constructor(holder, spec) {
    Object.assign(this, { holder, spec, log: Boolean(spec.log), hidden: new Set(), active: null });
    this.format = spec.percent ? (v) => percent(v, 2) : short;
    this.svg = shape("svg", { tabindex: 0, role: "img", "aria-label": this.summary() });
    this.readout = make("div", { class: "readout", hidden: true });
    this.plot = make("div", { class: "plot" }, this.svg, this.readout);
    holder.replaceChildren(this.head(), this.plot, this.legend());
    this.listen();
    new ResizeObserver(() => this.draw()).observe(this.plot);
    this.draw();
  }

  summary() {
    const ends = this.spec.series.slice(0, 8).map((line) => {
      const last = line.points.findLast((point) => point[1] !== null);
      return last ? `${line.name} ${this.format(last[1])}` : line.name;
    });
    return `${this.spec.title} by ${this.spec.x}; at the end: ${ends.join(", ")}. Arrow keys read values.`;
  }

  head() {
    const head = make("figcaption", { class: "chart-head" }, make("h3", { text: this.spec.title }, make("span", { text: ` by ${this.spec.x}` })));
    const positive = this.spec.series.some((line) => line.points.some((point) => point[1] > 0));
    if (this.spec.canLog && positive) {
      const button = make("button", { type: "button", class: "switch", "aria-pressed": String(this.log), text: "log" });
      button.addEventListener("click", () => {
        this.log = !this.log;
        button.setAttribute("aria-pressed", String(this.log));
        this.draw();
      });
      head.append(button);
    }
    return head;
  }

  legend() {
    const legend = make("div", { class: "legend" });
    if (this.spec.series.length < 2) return legend;
    this.spec.series.forEach((line, place) => {
      const swatch = make("span", { class: line.dash ? "swatch dash" : "swatch" });
      swatch.style.setProperty("--colour", this.colour(place));
      const button = make("button", { type: "button", "aria-pressed": "true" }, swatch, line.name);
      button.addEventListener("click", () => {
        if (!this.hidden.delete(place)) this.hidden.add(place);
        button.setAttribute("aria-pressed", String(!this.hidden.has(place)));
        this.draw();
      });
      legend.append(button);
    });
    return legend;
  }

  colour(place) {
    return `var(--series-${(this.spec.series[place].colour ?? place) % COLOURS})`;
  }

  get shown() {
    return this.spec.series.map((line, place) => ({ ...line, place })).filter((line) => !this.hidden.has(line.place));
  }

  usable(value) {
    return value !== null && (!this.log || value > 0);
  }

  extent(axis) {
    const given = this.spec.domain?.[axis];
    if (given) return given;
    const place = axis === "x" ? 0 : 1;
    let [low, high] = [Infinity, -Infinity];
    const take = (value) => {
      if (axis === "y" && !this.usable(value)) return;
      low = Math.min(low, value);
      high = Math.max(high, value);
    };
    for (const line of this.shown) {
      for (const point of line.points) take(point[place]);
      for (const row of line.band ?? []) (axis === "x" ? [row[0]] : [row[1], row[2]]).forEach(take);
    }
    return low > high ? [this.log && axis === "y" ? 0.1 : 0, 1] : [low, high];
  }

  draw() {
    const width = this.plot.clientWidth;
    if (!width) return;
    const height = this.spec.height ?? HEIGHT;
    const [low, high] = this.extent("y");
    const options = { log: this.log, count: 4, nice: !this.spec.domain?.y };
    this.y = scale(low, high, height - FOOT, TOP, options);
    const labels = this.y.ticks.map((tick) => (this.spec.percent ? percent(tick, high - low < 0.04 ? 1 : 0) : short(tick)));
    this.left = 12 + 6.4 * Math.max(...labels.map((label) => label.length), 2);
    this.x = scale(...this.extent("x"), this.left, width - 14, { count: Math.max(2, Math.floor(width / 70)) });
    const grid = shape("g", { class: "grid" });
    this.y.ticks.forEach((tick, place) => {
      const y = this.y.at(tick);
      grid.append(
        shape("line", { x1: this.left, x2: width - 14, y1: y, y2: y }),
        shape("text", { x: this.left - 7, y: y + 3.5, "text-anchor": "end", text: labels[place] }),
      );
    });
    for (const tick of this.x.ticks) {
      if (this.spec.x === "epoch" && !Number.isInteger(tick)) continue;
      grid.append(shape("text", { x: this.x.at(tick), y: height - 9, "text-anchor": "middle", text: short(tick) }));
    }
    this.svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    this.svg.setAttribute("height", height);
    this.cursor = shape("g", { class: "cursor" });
    this.svg.replaceChildren(grid, ...this.extras(height), ...this.shown.flatMap((line) => this.line(line)), this.cursor);
    this.show();
  }

  // Bars, the diagonal and marked places, which lie behind the lines.
  extras(height) {
    const parts = [];
    const most = Math.max(...(this.spec.bars ?? []).map((bar) => bar[2]), 1);
    for (const [from, to, count] of this.spec.bars ?? []) {
      const tall = (count / most) * (height - FOOT - TOP);
      const width = Math.max(1, this.x.at(to) - this.x.at(from) - 2);
      parts.push(shape("rect", { class: "count", x: this.x.at(from) + 1, y: height - FOOT - tall, width, height: tall, rx: 2 }));
    }
    if (this.spec.diagonal) {
      parts.push(shape("line", { class: "diagonal", x1: this.x.at(0), y1: this.y.at(0), x2: this.x.at(1), y2: this.y.at(1) }));
    }
    for (const mark of this.spec.marks ?? []) {
      const x = this.x.at(mark.x);
      parts.push(
        shape("line", { class: "mark", x1: x, x2: x, y1: TOP, y2: height - FOOT }),
        shape("text", { class: "mark", x, y: TOP - 4, "text-anchor": "middle", text: mark.label }),
      );
    }
    return parts;
  }

  line(line) {
    const colour = this.colour(line.place);
    const parts = [];
    const band = (line.band ?? []).filter((row) => this.usable(row[1]) && this.usable(row[2]));
    if (band.length) {
      const there = band.map(([x, , high]) => `${this.x.at(x)},${this.y.at(high)}`);
      const back = band.map(([x, low]) => `${this.x.at(x)},${this.y.at(low)}`).reverse();
      parts.push(shape("polygon", { class: "band", points: [...there, ...back].join(" "), style: `fill:${colour}` }));
    }
    let path = "";
    let drawing = false;
    for (const [x, y] of line.points) {
      if (this.usable(y)) path += `${drawing ? "L" : "M"}${this.x.at(x).toFixed(1)},${this.y.at(y).toFixed(1)}`;
      drawing = this.usable(y);
    }
    parts.push(shape("path", { class: line.dash ? "line dash" : "line", d: path, style: `stroke:${colour}` }));
    if (line.points.length <= 15) {
      for (const [x, y] of line.points) {
        if (this.usable(y)) parts.push(shape("circle", { class: "dot", cx: this.x.at(x), cy: this.y.at(y), r: 2.4, style: `fill:${colour}` }));
      }
    }
    return parts;
  }

  get places() {
    return [...new Set(this.shown.flatMap((line) => line.points.map((point) => point[0])))].sort((a, b) => a - b);
  }

  listen() {
    this.svg.addEventListener("pointermove", (event) => {
      const box = this.svg.getBoundingClientRect();
      const x = this.x.back(event.clientX - box.left);
      const near = (best, place) => (Math.abs(place - x) < Math.abs(best - x) ? place : best);
      this.point(this.places.reduce(near, Infinity), event.clientY - box.top);
    });
    const hide = () => this.point(null);
    this.svg.addEventListener("pointerleave", hide);
    this.svg.addEventListener("blur", hide);
    this.svg.addEventListener("keydown", (event) => {
      const places = this.places;
      const now = places.indexOf(this.active);
      const moves = { ArrowLeft: now < 0 ? places.length - 1 : now - 1, ArrowRight: now + 1, Home: 0, End: places.length - 1 };
      if (event.key === "Escape") hide();
      if (!(event.key in moves) || !places.length) return;
      event.preventDefault();
      this.point(places[clamp(moves[event.key], 0, places.length - 1)]);
    });
  }

  point(active, near = null) {
    this.active = Number.isFinite(active) ? active : null;
    this.near = near;
    this.show();
  }

  // The values at the active place: those nearest to the pointer, where there are many.
  show() {
    this.readout.hidden = this.active === null;
    this.cursor.replaceChildren();
    if (this.active === null) return;
    const x = this.x.at(this.active);
    let rows = this.shown
      .map((line) => ({ line, point: line.points.find((point) => point[0] === this.active) }))
      .filter((row) => row.point && this.usable(row.point[1]))
      .sort((a, b) => b.point[1] - a.point[1]);
    if (rows.length > 10 && this.near !== null) {
      const away = (row) => Math.abs(this.y.at(row.point[1]) - this.near);
      const kept = new Set([...rows].sort((a, b) => away(a) - away(b)).slice(0, 10));
      rows = rows.filter((row) => kept.has(row));
    }
    this.cursor.append(shape("line", { x1: x, x2: x, y1: TOP, y2: (this.spec.height ?? HEIGHT) - FOOT }));
    this.readout.replaceChildren(make("strong", { text: `${this.spec.x} ${short(this.active)}` }));
    for (const { line, point } of rows.slice(0, 10)) {
      const swatch = make("span", { class: "swatch" });
      swatch.style.setProperty("--colour", this.colour(line.place));
      const held = (line.band ?? []).find((row) => row[0] === this.active);
      const range = held ? ` (${this.format(held[1])} – ${this.format(held[2])})` : "";
      this.readout.append(make("div", {}, swatch, make("span", { text: line.name }), make("b", { text: this.format(point[1]) + range })));
      this.cursor.append(shape("circle", { cx: x, cy: this.y.at(point[1]), r: 4, style: `fill:${this.colour(line.place)}` }));
    }
    const bar = (this.spec.bars ?? []).find(([from, to]) => this.active > from && this.active <= to);
    if (bar) this.readout.append(make("div", {}, make("span", { text: "images" }), make("b", { text: bar[2].toLocaleString("en") })));
    const wide = this.readout.offsetWidth;
    const right = x + 12 + wide > this.plot.clientWidth;
    this.readout.style.left = `${clamp(right ? x - wide - 12 : x + 12, 0, Math.max(0, this.plot.clientWidth - wide))}px`;
  }
}

for (const holder of document.querySelectorAll("[data-chart]")) {
  new Chart(holder, DATA.charts[holder.dataset.chart]);
}
