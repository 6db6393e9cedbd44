// The slider through the epochs, which moves every picture of its [data-timeline] together.
// DATA.frames[key] is [[epoch, address], …], ascending; DATA.told[epoch] a line about an epoch.

const PLAY_PAUSE = 600; // milliseconds between two epochs

// A picture at an epoch: its own of that epoch, or the last one before it.
function frameAt(key, epoch) {
  const frames = DATA.frames[key];
  return frames.findLast((frame) => frame[0] <= epoch) ?? frames[0];
}

class Timeline {
  constructor(root) {
    const bar = root.querySelector("[data-slider]");
    this.root = root;
    this.input = bar.querySelector("input");
    this.output = bar.querySelector("output");
    this.play = bar.querySelector("[data-play]");
    this.epochs = bar.dataset.epochs.split(",").map(Number);
    this.best = bar.dataset.best === "" ? null : Number(bar.dataset.best);
    this.pictures = [...root.querySelectorAll("img[data-frames]")];
    this.timer = null;
    this.ticks(bar.querySelector(".ticks"));
    this.listen();
    this.show();
  }

  get epoch() {
    return this.epochs[Number(this.input.value)];
  }

  ticks(holder) {
    const last = this.epochs.length - 1;
    this.epochs.forEach((epoch, place) => {
      if (last > 60 && epoch !== this.best) return;
      const tick = make("i", { class: epoch === this.best ? "best" : null });
      tick.style.setProperty("--share", last ? place / last : 0);
      holder.append(tick);
    });
  }

  listen() {
    this.input.addEventListener("input", () => {
      this.stop();
      this.show();
    });
    this.play.addEventListener("click", () => (this.timer ? this.stop() : this.start()));
    document.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      if (!step || event.altKey || event.ctrlKey || event.metaKey || takesKeys(event.target)) return;
      const box = this.root.getBoundingClientRect();
      if (box.top > innerHeight * 0.8 || box.bottom < 80) return; // out of sight
      event.preventDefault();
      this.move(step);
    });
    for (const button of this.root.querySelectorAll("[data-enlarge]")) {
      if (button.querySelector("[data-frames]")) button.addEventListener("click", () => this.enlarge(button));
    }
  }

  move(step) {
    this.stop();
    this.input.value = clamp(Number(this.input.value) + step, 0, this.epochs.length - 1);
    this.show();
  }

  start() {
    if (Number(this.input.value) === this.epochs.length - 1) this.input.value = 0;
    this.show();
    this.timer = setInterval(() => {
      this.input.value = Number(this.input.value) + 1;
      this.show();
      if (Number(this.input.value) === this.epochs.length - 1) this.stop();
    }, PLAY_PAUSE);
    this.play.setAttribute("aria-pressed", "true");
  }

  stop() {
    clearInterval(this.timer);
    this.timer = null;
    this.play.setAttribute("aria-pressed", "false");
  }

  show() {
    const { epoch } = this;
    const words = [`epoch ${epoch}`, epoch === this.best ? "best" : "", DATA.told?.[epoch] ?? ""];
    this.input.setAttribute("aria-valuetext", words.filter(Boolean).join(", "));
    this.input.style.setProperty("--share", this.epochs.length > 1 ? this.input.value / (this.epochs.length - 1) : 0);
    this.output.replaceChildren(
      make("b", { text: words[0] }),
      ...(words[1] ? [make("em", { text: words[1] })] : []),
      make("span", { text: words[2] }),
    );
    for (const picture of this.pictures) {
      const [drawn, address] = frameAt(picture.dataset.frames, epoch);
      if (picture.getAttribute("src") !== address) picture.src = address;
      picture.alt = `${picture.dataset.title}, epoch ${drawn}`;
      const caption = picture.closest("figure")?.querySelector("[data-at]");
      if (caption) {
        caption.textContent = drawn === epoch ? "" : `drawn at epoch ${drawn}`;
      }
    }
  }

  // The picture alone; the arrow keys still move it through the epochs.
  enlarge(button) {
    this.stop();
    const shown = button.querySelector("img");
    const large = make("img", { class: "large" });
    const refresh = () => {
      large.src = shown.src;
      large.alt = shown.alt;
      openDialog(shown.alt, large, keys);
    };
    const keys = (event) => {
      const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      if (!step) return false;
      this.move(step);
      refresh();
      return true;
    };
    refresh();
  }
}

for (const root of document.querySelectorAll("[data-timeline]")) {
  if (root.querySelector("[data-slider]")) new Timeline(root);
}

for (const button of document.querySelectorAll("[data-enlarge]")) {
  const shown = button.querySelector("img");
  if (shown.dataset.frames) continue;
  button.addEventListener("click", () =>
    openDialog(shown.dataset.title, make("img", { class: "large", src: shown.src, alt: shown.alt })),
  );
}
