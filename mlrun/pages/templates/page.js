// What every page has: its data, making elements, the theme, the dialog.

const DATA = JSON.parse(document.getElementById("data").textContent);

function put(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === false || value === null || value === undefined) continue;
    if (name === "text") element.textContent = value;
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children);
  return element;
}

const make = (name, attributes = {}, ...children) =>
  put(document.createElement(name), attributes, children);

const shape = (name, attributes = {}, ...children) =>
  put(document.createElementNS("http://www.w3.org/2000/svg", name), attributes, children);

const clamp = (value, low, high) => Math.min(high, Math.max(low, value));

const percent = (fraction, digits = 1) => {
  if (fraction === null || fraction === undefined) return "–";
  const text = (100 * fraction).toFixed(digits);
  return `${Number(text) === 100 ? "100" : text} %`;
};

const short = (value) => {
  if (value === null || value === undefined) return "–";
  if (value !== 0 && (Math.abs(value) < 1e-4 || Math.abs(value) >= 1e6)) {
    return value.toExponential(2).replace(/\.?0+e/, "e");
  }
  return String(Number(value.toPrecision(4)));
};

// Whether keys belong to the element that has the focus, and not to the page.
const takesKeys = (element) =>
  element.closest("input, select, textarea, svg, [role=grid], dialog, [data-own-keys]") !== null;

function dark() {
  const chosen = document.documentElement.dataset.theme;
  return chosen ? chosen === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
}

document.getElementById("theme").addEventListener("click", () => {
  document.documentElement.dataset.theme = dark() ? "light" : "dark";
  document.dispatchEvent(new Event("themechange"));
});

// In MLflow's frame a link leads nowhere: there the page of the run is around it.
if (window.self !== window.top) document.documentElement.classList.add("framed");

for (const link of document.querySelectorAll("a[href^='#']")) {
  link.addEventListener("click", (event) => {
    const target = document.getElementById(link.getAttribute("href").slice(1));
    if (!target) return;
    event.preventDefault();
    target.scrollIntoView();
    target.focus({ preventScroll: true });
  });
}

const lightbox = document.getElementById("lightbox");
let lightboxKeys = null; // takes the keys that are pressed while the dialog is open

function openDialog(title, body, keys = null) {
  document.getElementById("lightbox-title").textContent = title;
  document.getElementById("lightbox-body").replaceChildren(body);
  lightboxKeys = keys;
  if (!lightbox.open) lightbox.showModal();
}

lightbox.addEventListener("keydown", (event) => {
  if (lightboxKeys && lightboxKeys(event)) event.preventDefault();
});
lightbox.addEventListener("click", (event) => {
  if (event.target === lightbox || event.target.closest("[data-close]")) lightbox.close();
});
lightbox.addEventListener("close", () => {
  lightboxKeys = null;
  document.getElementById("lightbox-body").replaceChildren();
});

// The section that is being read is marked in the bar.
const places = new Map(
  [...document.querySelectorAll(".bar nav a")].map((a) => [a.getAttribute("href").slice(1), a]),
);
function markPlace() {
  let current = null;
  for (const [id, link] of places) {
    const section = document.getElementById(id);
    if (section && section.getBoundingClientRect().top < 140) current = link;
  }
  for (const link of places.values()) {
    if (link === current) link.setAttribute("aria-current", "true");
    else link.removeAttribute("aria-current");
  }
}
addEventListener("scroll", markPlace, { passive: true });
markPlace();
