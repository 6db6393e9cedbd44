// Images of the tested part: pieces of one picture, DATA.images.sprite. DATA.images.rows has for
// each [place in the data set's part, its class, what it was taken for, probability, loss].

const SHARP = 4; // drawn so many times larger than kept

const sprite = new Image();
if (DATA.images) sprite.src = DATA.images.sprite;

// One image with what it is, was taken for, and how surely.
function shot(number) {
  const { columns, width, height, rows } = DATA.images;
  const [place, label, predicted, chance, loss] = rows[number];
  const [is, taken] = [DATA.classes[label], DATA.classes[predicted]];
  const canvas = make("canvas", {
    width: width * SHARP,
    height: height * SHARP,
    role: "img",
    "aria-label": `image ${place}: ${is}, taken for ${taken} with ${percent(chance)}`,
    title: `image ${place}`,
  });
  const draw = () => {
    const brush = canvas.getContext("2d");
    brush.imageSmoothingEnabled = false;
    const [x, y] = [(number % columns) * width, Math.floor(number / columns) * height];
    brush.drawImage(sprite, x, y, width, height, 0, 0, canvas.width, canvas.height);
  };
  sprite.decode().then(draw, () => {});
  return make(
    "figure",
    { class: "shot" },
    canvas,
    make("span", { class: "names", text: `${is} → ${taken}` }),
    make("small", { text: percent(chance) }),
    make("small", { text: `loss ${loss === null ? "–" : loss.toFixed(2)}` }),
  );
}

const losses = document.querySelector("[data-losses]");
if (losses && DATA.losses) losses.append(...DATA.losses.map(shot));
