// Several runs: what is drawn of a group, whose pictures are shown, pairs, and disagreements.

for (const button of document.querySelectorAll("[data-mode]")) {
  button.addEventListener("click", () => {
    for (const other of document.querySelectorAll("[data-mode]")) {
      other.setAttribute("aria-pressed", String(other === button));
    }
    for (const holder of document.querySelectorAll("[data-chart]")) {
      new Chart(holder, DATA.lines[button.dataset.mode][holder.dataset.chart]);
    }
  });
}

// Each layer has as many columns as the runs of which it shows a picture.
function widen() {
  const count = document.querySelectorAll("[data-toggle][aria-pressed=true]").length;
  document.querySelector(".shelves")?.style.setProperty("--runs", Math.max(1, count));
}
widen();

for (const button of document.querySelectorAll("[data-toggle]")) {
  button.addEventListener("click", () => {
    const shown = button.getAttribute("aria-pressed") !== "true";
    button.setAttribute("aria-pressed", String(shown));
    for (const picture of document.querySelectorAll(`[data-run="${button.dataset.toggle}"]`)) {
      picture.hidden = !shown;
    }
    widen();
  });
}

const pairOf = (one, other) =>
  DATA.pairs.find((pair) => pair.runs.includes(one) && pair.runs.includes(other));

const sign = (run) => {
  const swatch = make("span", { class: run.dash ? "swatch dash" : "swatch" });
  swatch.style.setProperty("--colour", `var(--series-${run.colour})`);
  return swatch;
};

// One image: what it is, and what the run that has it wrong takes it for.
function thumb(image, wrong) {
  const [, taken, chance] = image.answers[wrong];
  return make(
    "figure",
    {},
    make("img", { src: image.address, alt: `image ${image.index}: ${image.name}, taken for ${taken}`, title: `image ${image.index} of its part` }),
    make("b", { text: image.name }),
    make("div", { class: "no", text: `${taken} (${chance ?? "–"} %)` }),
  );
}

// The images that `right` has right and `wrong` wrong, the surest mistakes first.
function side(right, wrong, total) {
  const one = DATA.runs[right];
  const other = DATA.runs[wrong];
  const hits = (image, run) => image.answers[run]?.[0] === image.label;
  const there = DATA.images.filter((image) => right in image.answers && wrong in image.answers);
  const held = there
    .filter((image) => hits(image, right) && !hits(image, wrong))
    .sort((a, b) => b.answers[wrong][2] - a.answers[wrong][2]);
  const shown = held.slice(0, DATA.shown);
  const few = shown.length < total ? `, ${shown.length} of them shown` : "";
  const count = `${total.toLocaleString("en")} image${total === 1 ? "" : "s"}${few}`;
  return make(
    "div",
    { class: "card side" },
    make("h3", {}, make("div", { class: "named" }, sign(one), make("span", { text: `${one.label} has right,` })), make("div", { class: "named" }, sign(other), make("span", { text: `${other.label} takes for something else` })), make("small", { text: count })),
    make("div", { class: "thumbs" }, ...shown.map((image) => thumb(image, wrong))),
  );
}

const chooser = { first: document.getElementById("first"), second: document.getElementById("second") };

function disagree(one, other) {
  if (!chooser.first) return;
  chooser.first.value = one;
  chooser.second.value = other;
  const pair = one === other ? null : pairOf(one, other);
  document.getElementById("said").textContent = pair ? pair.sentence : "Choose two different runs.";
  const sides = document.getElementById("sides");
  sides.replaceChildren();
  if (!pair?.only) return;
  const [ones, others] = pair.runs[0] === one ? pair.only : [...pair.only].reverse();
  sides.append(side(one, other, ones), side(other, one, others));
}

if (chooser.first) {
  const chosen = () => disagree(Number(chooser.first.value), Number(chooser.second.value));
  chooser.first.addEventListener("change", chosen);
  chooser.second.addEventListener("change", chosen);
  chosen();
}

// The matrix: one stop for the Tab key, the arrow keys move in it.
const matrix = document.querySelector("[data-matrix]");
if (matrix) {
  const verdict = document.getElementById("verdict");
  const cells = [...matrix.tBodies[0].rows].map((row) =>
    [...row.cells].slice(1).map((cell) => cell.querySelector("button")),
  );
  const all = cells.flat().filter(Boolean);
  const tell = (button) => {
    verdict.textContent = pairOf(Number(button.dataset.first), Number(button.dataset.second)).sentence;
  };
  const chosen = () => all.find((button) => button.getAttribute("aria-selected") === "true");
  const stop = (button) => {
    for (const other of all) other.tabIndex = other === button ? 0 : -1;
  };
  stop(all[0]);
  cells.forEach((row, up) =>
    row.forEach((button, along) => {
      if (!button) return;
      button.addEventListener("mouseenter", () => tell(button));
      button.addEventListener("focus", () => tell(button));
      button.addEventListener("click", () => {
        for (const other of all) other.removeAttribute("aria-selected");
        button.setAttribute("aria-selected", "true");
        stop(button);
        tell(button);
        disagree(up, along);
      });
      button.addEventListener("keydown", (event) => {
        const way = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[event.key];
        if (!way) return;
        event.preventDefault();
        let [y, x] = [up + way[0], along + way[1]];
        if (y === x) [y, x] = [y + way[0], x + way[1]]; // over the diagonal
        const next = cells[y]?.[x];
        if (!next) return;
        stop(next);
        next.focus();
      });
    }),
  );
  matrix.addEventListener("mouseleave", () => {
    const held = chosen();
    if (held) tell(held);
  });
}
