// The confusion matrix: a grid of buttons, or of many classes a map and a list of pairs.
// DATA.cells is [true, predicted, count] of each cell that is not empty.

const STEPS = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
const PAIRS = 60; // in the list

const counts = new Map((DATA.cells ?? []).map(([is, taken, count]) => [`${is},${taken}`, count]));
const totals = new Map();
for (const [is, , count] of DATA.cells ?? []) totals.set(is, (totals.get(is) ?? 0) + count);

// What is behind a cell: its images, surest first of the wrong and last of the right ones.
function behind(is, taken) {
  const count = counts.get(`${is},${taken}`) ?? 0;
  const rows = DATA.images?.rows ?? [];
  const kept = rows.map((_, number) => number).filter((number) => rows[number][1] === is && rows[number][2] === taken);
  const sign = is === taken ? 1 : -1;
  kept.sort((a, b) => sign * (rows[a][3] - rows[b][3]));
  const order = is === taken ? "least sure first" : "surest first";
  const told = kept.length ? `${kept.length} of ${count.toLocaleString("en")} shown, ${order}.` : "No images of this cell were kept.";
  return make("div", {}, make("p", { class: "lead", text: told }), make("div", { class: "shots" }, ...kept.map(shot)));
}

function openCell(is, taken, keys = null) {
  const count = counts.get(`${is},${taken}`) ?? 0;
  const words = is === taken ? "recognised" : `taken for ${DATA.classes[taken]}`;
  const images = count === 1 ? "1 image" : `${count.toLocaleString("en")} images`;
  openDialog(`${DATA.classes[is]} ${words}: ${images}`, behind(is, taken), keys);
}

// The grid of buttons: one of them takes the focus, arrows move it, also while a cell is open.
class Matrix {
  constructor(table) {
    this.table = table;
    this.size = DATA.classes.length;
    this.at = [0, 0];
    table.classList.toggle("level", DATA.classes.every((name) => name.length <= 3));
    table.addEventListener("click", (event) => {
      const button = event.target.closest("[data-cell]");
      if (button) this.open(button.dataset.cell.split(",").map(Number));
    });
    table.addEventListener("keydown", (event) => {
      const next = this.next(event.key);
      if (!next) return;
      event.preventDefault();
      this.move(next);
    });
    table.addEventListener("focusin", (event) => {
      const button = event.target.closest("[data-cell]");
      if (button) this.choose(button.dataset.cell.split(",").map(Number));
    });
    lightbox.addEventListener("close", () => this.opened && this.move(this.at));
  }

  button([row, column]) {
    return this.table.querySelector(`[data-cell="${row},${column}"]`);
  }

  next(key) {
    const [row, column] = this.at;
    if (key === "Home") return [row, 0];
    if (key === "End") return [row, this.size - 1];
    if (!(key in STEPS)) return null;
    const [down, right] = STEPS[key];
    return [clamp(row + down, 0, this.size - 1), clamp(column + right, 0, this.size - 1)];
  }

  // The one cell that TAB reaches.
  choose(place) {
    this.button(this.at).tabIndex = -1;
    this.at = place;
    this.button(place).tabIndex = 0;
  }

  move(place) {
    this.opened = false;
    this.choose(place);
    this.button(place).focus();
  }

  open(place) {
    if (!counts.has(place.join(","))) return;
    this.choose(place);
    openCell(...place, (event) => this.step(event.key));
    this.opened = true;
  }

  // The next cell in that direction that has images, while one is open.
  step(key) {
    if (!(key in STEPS)) return false;
    const [down, right] = STEPS[key];
    let [row, column] = this.at;
    for (;;) {
      row += down;
      column += right;
      if (row < 0 || column < 0 || row >= this.size || column >= this.size) return true;
      if (counts.has(`${row},${column}`)) break;
    }
    this.open([row, column]);
    return true;
  }
}

// Many classes: a pixel a cell.
class ConfusionMap {
  constructor(root) {
    this.canvas = root.querySelector("canvas");
    this.caption = root.querySelector("figcaption");
    this.size = DATA.classes.length;
    this.canvas.addEventListener("pointermove", (event) => this.tell(this.cell(event)));
    this.canvas.addEventListener("click", (event) => {
      const place = this.cell(event);
      if (counts.has(place.join(","))) openCell(...place);
    });
    document.addEventListener("themechange", () => this.draw());
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
    this.draw();
  }

  cell(event) {
    const box = this.canvas.getBoundingClientRect();
    const at = (offset, length) => clamp(Math.floor((offset / length) * this.size), 0, this.size - 1);
    return [at(event.clientY - box.top, box.height), at(event.clientX - box.left, box.width)];
  }

  tell([is, taken]) {
    const count = counts.get(`${is},${taken}`) ?? 0;
    const share = totals.has(is) ? percent(count / totals.get(is)) : "–";
    this.caption.textContent = `${DATA.classes[is]} → ${DATA.classes[taken]}: ${count} (${share} of the row)`;
  }

  draw() {
    this.canvas.width = this.size;
    this.canvas.height = this.size;
    const brush = this.canvas.getContext("2d");
    const empty = dark() ? "#20242b" : "#f0f0ed";
    const [right, wrong] = dark() ? ["#6d9bff", "#ff8a60"] : ["#2f6fd6", "#d9481f"];
    brush.fillStyle = empty;
    brush.fillRect(0, 0, this.size, this.size);
    for (const [is, taken, count] of DATA.cells) {
      brush.globalAlpha = clamp(Math.sqrt(count / totals.get(is)) * 1.1, 0.12, 1);
      brush.fillStyle = is === taken ? right : wrong;
      brush.fillRect(taken, is, 1, 1);
    }
  }
}

// The pairs that are mixed up most, of all classes or of those whose name has a text in it.
function listPairs(root) {
  const list = root.querySelector("ol");
  const mixed = DATA.cells.filter(([is, taken]) => is !== taken).sort((a, b) => b[2] - a[2]);
  const fill = (wanted) => {
    const has = (place) => DATA.classes[place].toLowerCase().includes(wanted);
    const rows = mixed.filter(([is, taken]) => has(is) || has(taken)).slice(0, PAIRS).map(([is, taken, count]) => {
      const button = make(
        "button",
        { type: "button" },
        make("b", { text: count.toLocaleString("en") }),
        make("span", { text: `${DATA.classes[is]} → ${DATA.classes[taken]}` }),
        make("small", { text: percent(count / totals.get(is)), title: `of ${DATA.classes[is]}` }),
      );
      button.addEventListener("click", () => openCell(is, taken));
      return make("li", {}, button);
    });
    list.replaceChildren(...(rows.length ? rows : [make("li", { class: "soft", text: "None." })]));
  };
  const search = root.querySelector("input");
  search.addEventListener("input", () => fill(search.value.trim().toLowerCase()));
  fill("");
}

for (const table of document.querySelectorAll("[data-matrix]")) new Matrix(table);
for (const root of document.querySelectorAll("[data-map]")) new ConfusionMap(root);
for (const root of document.querySelectorAll("[data-pairs]")) listPairs(root);
