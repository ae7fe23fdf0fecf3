/* The icons, drawn on 16 by 16. Each stands beside a word, so none of them is read aloud. */

const DRAWN = {
  anchor: "M8 5.5V14M8 5.5a2 2 0 1 0 0-4 2 2 0 0 0 0 4ZM2.5 9.5C2.5 12 5 14 8 14s5.5-2 5.5-4.5",
  arrow: "M3 8h10m-4-4 4 4-4 4",
  audit: "M4 2h8v12H4zM6.5 5.5h3m-3 2.5h3m-3 2.5h2",
  batch: "M2.5 5 8 2l5.5 3v6L8 14l-5.5-3zM2.5 5 8 8l5.5-3M8 8v6",
  check: "m3 8.5 3.2 3.2L13 5",
  clock: "M8 14A6 6 0 1 0 8 2a6 6 0 0 0 0 12ZM8 5v3l2 1.5",
  copy: "M5.5 5.5h8v8h-8zM3 10.5h-.5v-8h8V3",
  cross: "m4 4 8 8m0-8-8 8",
  dead: "M2.5 4h11v8.5h-11zM2.5 4.5 8 9l5.5-4.5",
  dot: "M8 9.5a1.5 1.5 0 1 0 0-3 1.5 1.5 0 0 0 0 3Z",
  factory: "M2 14V7l4 2.5V7l4 2.5V2.5h4V14z",
  flag: "M3.5 14V2.5h8l-1.5 3 1.5 3h-8",
  info: "M8 14A6 6 0 1 0 8 2a6 6 0 0 0 0 12ZM8 7.5V11M8 5v.1",
  live: "M1.5 8.5h3l2-5.5 3 10 2-4.5h3",
  menu: "M2.5 4.5h11m-11 3.5h11m-11 3.5h11",
  out: "M6 2.5H3v11h3M7 8h6.5m-3-3 3 3-3 3",
  pause: "M5.5 3.5v9m5-9v9",
  people:
    "M6 7.5a2.5 2.5 0 1 0 0-5 2.5 2.5 0 0 0 0 5ZM1.5 13.5c0-2.5 2-4 4.5-4s4.5 1.5 4.5 4M10.5 2.8a2.4 2.4 0 0 1 0 4.5m1.5 2.4c1.6.4 2.5 2 2.5 3.8",
  play: "M5 3.2 12.5 8 5 12.8z",
  product: "M2.5 8.3V2.5h5.8l5.2 5.2-5.8 5.8zM5.4 5.4v.1",
  question:
    "M8 14A6 6 0 1 0 8 2a6 6 0 0 0 0 12ZM6.3 6.4c.2-2.2 3.6-2 3.4.1C9.6 7.8 8 7.8 8 9.1M8 11.2v.1",
  recall: "M3 6.5h7a3 3 0 0 1 0 6H6M5.5 4 3 6.5 5.5 9",
  report: "M3 2.5h10v8H8.5L5.5 13v-2.5H3z",
  statistics: "M2.5 13.5h11M4.5 11V8M8 11V3.5M11.5 11V6",
  stop: "M5.4 2h5.2L14 5.4v5.2L10.6 14H5.4L2 10.6V5.4zM8 5v3.5M8 11v.1",
  warning: "M8 2.3 14.5 13.5h-13zM8 6.5v3M8 11.5v.1",
};

/** An icon by its name. @param {string} name @returns {SVGElement} */
export function icon(name) {
  const drawing = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  drawing.setAttribute("class", "icon");
  drawing.setAttribute("viewBox", "0 0 16 16");
  drawing.setAttribute("aria-hidden", "true");
  path.setAttribute("d", DRAWN[name] ?? DRAWN.question);
  drawing.append(path);
  return drawing;
}
