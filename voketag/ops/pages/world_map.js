/* Where scans were made, on a map of the world, and in words beside it. */

import { get } from "./api.js";
import { element } from "./dom.js";
import { country, counted, number } from "./format.js";
import { table } from "./tables.js";
import { HEIGHT, LAND, NORTH, UNITS_A_DEGREE, WEST, WIDTH } from "./world.js";

const SVG = "http://www.w3.org/2000/svg";
const SMALLEST = 12;
const LARGEST = 44;
const NAMED_AT_MOST = 12;

/**
 * A place scans were made in: a country, or a place in it that phones told exactly.
 * @typedef {{country: string | null, lat: number, lon: number, scans: number}} Place
 */

/**
 * A map of scans, with a table of its countries.
 * @param {any[]} scans
 */
export async function worldMap(scans) {
  const centres = await get("/pages/countries.json");
  const places = placed(scans, centres);
  const countries = byCountry(scans);
  return element(
    "div",
    { class: "map-and-table" },
    element(
      "figure",
      { class: "map" },
      drawing(places, countries),
      element("figcaption", { class: "small soft" }, caption(scans, places)),
    ),
    table(
      "Scans by country",
      [
        { label: "Country", head: true, cell: (row) => named(row.country) },
        { label: "Scans", n: true, cell: (row) => number(row.scans) },
        { label: "Share", cell: (row) => share(row.scans / scans.length) },
      ],
      countries,
    ),
  );
}

/* Scans of one place told exactly are one circle (to a degree, a hundred kilometres: no more than
   is needed to see that places differ); the others stand in the middle of their country. */
function placed(scans, centres) {
  const found = new Map();
  for (const scan of scans) {
    const centre = centres[scan.country];
    const at = scan.location ?? (centre && { lat: centre[0], lon: centre[1] });
    if (!at) continue;
    const key = scan.location
      ? `${scan.country} ${Math.round(at.lat)} ${Math.round(at.lon)}`
      : scan.country;
    const place = found.get(key) ?? { country: scan.country, lat: at.lat, lon: at.lon, scans: 0 };
    place.scans += 1;
    found.set(key, place);
  }
  return [...found.values()].sort((a, b) => b.scans - a.scans);
}

function byCountry(scans) {
  const counts = new Map();
  for (const scan of scans) counts.set(scan.country, (counts.get(scan.country) ?? 0) + 1);
  return [...counts]
    .map(([code, count]) => ({ country: code, scans: count }))
    .sort((a, b) => b.scans - a.scans);
}

function drawing(places, countries) {
  const said = countries.map((row) => `${named(row.country)} ${row.scans}`).join(", ");
  const svg = drawn("svg", {
    viewBox: `0 0 ${WIDTH} ${HEIGHT}`,
    role: "img",
    "aria-label": `Map of the world with the scans of each country: ${said}.`,
  });
  svg.append(drawn("path", { class: "land", d: LAND }));
  const most = places[0]?.scans ?? 1;
  const circles = places.map((place) => circle(place, most));
  // The small ones lie on the large ones, and the words on all of them.
  svg.append(...circles.map(({ node }) => node), ...labels(circles));
  return svg;
}

function circle(place, most) {
  const x = (place.lon - WEST) * UNITS_A_DEGREE;
  const y = (NORTH - place.lat) * UNITS_A_DEGREE;
  const r = SMALLEST + (LARGEST - SMALLEST) * Math.sqrt(place.scans / most); // by its area
  return { place, x, y, r, node: drawn("circle", { class: "place", cx: x, cy: y, r }) };
}

/* The largest are named, as far as there is room for the words: beside, above or below them. */
function labels(circles) {
  const narrow = matchMedia("(max-width: 860px)").matches;
  const [letter, height] = narrow ? [32, 54] : [19, 34]; // of a place-name in analyst.css
  const taken = circles.map(({ x, y, r }) => boxAt(x - r * 0.6, y - r * 0.6, r * 1.2, r * 1.2));
  const made = [];
  for (const { place, x, y, r } of circles.slice(0, narrow ? NAMED_AT_MOST / 2 : NAMED_AT_MOST)) {
    const text = `${place.country ?? "?"} ${number(place.scans)}`;
    const width = text.length * letter;
    const free = [
      boxAt(x + r + 6, y - height / 2, width, height),
      boxAt(x - r - 6 - width, y - height / 2, width, height),
      boxAt(x - width / 2, y - r - height, width, height),
      boxAt(x - width / 2, y + r, width, height),
    ].find((box) => inside(box) && !taken.some((other) => overlap(box, other)));
    if (!free) continue;
    taken.push(free);
    const label = drawn("text", { class: "place-name", x: free.left, y: free.bottom - height / 4 });
    label.textContent = text;
    made.push(label);
  }
  return made;
}

function boxAt(left, top, width, height) {
  return { left, top, right: left + width, bottom: top + height };
}

function inside(box) {
  return box.left >= 0 && box.right <= WIDTH && box.top >= 0 && box.bottom <= HEIGHT;
}

function overlap(a, b) {
  return a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;
}

function caption(scans, places) {
  const shown = places.reduce((total, place) => total + place.scans, 0);
  const exact = scans.filter((scan) => scan.location).length;
  const lost = scans.length - shown;
  return [
    `${counted(shown, "scan")} placed`,
    exact
      ? `, ${number(exact)} of them where the phone said it was`
      : ", each in the middle of its country",
    lost ? `; of ${number(lost)} the country is unknown` : "",
    ". Land: Natural Earth.",
  ];
}

function named(code) {
  return code === null ? "unknown" : country(code);
}

function share(part) {
  const fill = element("span", { class: "share-fill" });
  fill.style.width = `${Math.max(2, part * 100)}%`;
  return element(
    "span",
    { class: "share" },
    element("span", { class: "share-bar", "aria-hidden": "true" }, fill),
    element("span", { class: "share-figure" }, `${number(part * 100, part < 0.1 ? 1 : 0)}%`),
  );
}

function drawn(name, attributes) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, String(value));
  return made;
}
