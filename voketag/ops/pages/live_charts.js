/* The last minutes as lines: each has a colour and a dash of its own. */

import uPlot from "/pages/uPlot.esm.js";
import { none } from "./format.js";

const SHOWN_S = 300;
const HEIGHT = 184;
const LEAST = 4; // so that next to nothing looks like it
const FIGURES = ["accepted", "scored", "stored", "p50_ms", "p95_ms", "p99_ms"];
const LOOKS = [
  ["--first", []],
  ["--second", [7, 4]],
  ["--third", [2, 3]],
];

const STYLES = ["solid", "dashed", "dotted"]; // of the dashes, as borders

export class Charts {
  /** @param {HTMLElement} rates @param {HTMLElement} latency */
  constructor(rates, latency) {
    this.columns = [[], ...FIGURES.map(() => [])];
    this.places = [
      [rates, ["Accepted", "Scored", "Stored"], 1],
      [latency, ["p50", "p95", "p99"], 4],
    ];
    this.plots = [];
    this.draw();
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
    new ResizeObserver(() => this.fit()).observe(rates);
  }

  /** Begin with what the server kept. @param {Record<string, (number | null)[]>} history */
  begin(history) {
    this.columns = [history.at_s, ...FIGURES.map((name) => history[name])];
    this.show();
  }

  /** @param {any} beat */
  add(beat) {
    const now = { ...beat.per_second, ...(beat.latency ?? {}) };
    this.columns[0].push(new Date(beat.at).getTime() / 1000);
    FIGURES.forEach((name, at) => this.columns[at + 1].push(none(now[name]) ? null : now[name]));
    const since = this.columns[0].at(-1) - SHOWN_S;
    const old = this.columns[0].findIndex((at) => at >= since);
    if (old > 0) this.columns = this.columns.map((column) => column.slice(old));
    this.show();
  }

  show() {
    for (const [plot, first] of this.plots) plot.setData(columnsOf(this.columns, first));
  }

  fit() {
    for (const [plot] of this.plots) {
      const width = plot.root.parentElement.clientWidth - 16;
      if (width > 0 && width !== plot.width) plot.setSize({ width, height: HEIGHT });
    }
  }

  /** Draw them in the colours of now. */
  draw() {
    for (const [plot] of this.plots) plot.destroy();
    this.plots = this.places.map(([place, names, first]) => {
      const options = optionsOf(names, Math.max(place.clientWidth - 16, 100));
      return [new uPlot(options, columnsOf(this.columns, first), place), first];
    });
  }
}

function columnsOf(columns, first) {
  return [columns[0], ...columns.slice(first, first + 3)];
}

function optionsOf(names, width) {
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const axis = {
    stroke: colour("--soft"),
    font: `11px ${colour("--sans")}`,
    grid: { stroke: colour("--line"), width: 1 },
    ticks: { show: false },
  };
  return {
    width,
    height: HEIGHT,
    legend: { markers: { dash: (_, at) => STYLES[at - 1] } },
    cursor: { y: false, points: { size: 6 }, drag: { x: false, y: false } },
    scales: {
      x: { range: (_, low, high) => (none(high) ? [0, SHOWN_S] : [high - SHOWN_S, high]) },
      y: { range: (_, low, high) => [0, Math.max((high ?? 0) * 1.1, LEAST)] },
    },
    axes: [
      { ...axis, space: 70, size: 26, values: (_, splits) => splits.map(timeOf) },
      { ...axis, size: 48, values: (_, splits) => splits.map((value) => shortly(value)) },
    ],
    series: [
      {},
      ...names.map((label, at) => {
        const [name, dash] = LOOKS[at];
        return {
          label,
          stroke: colour(name),
          width: 1.75,
          dash,
          spanGaps: false,
          points: { show: false },
          value: (_, value) => (none(value) ? "" : shortly(value)),
        };
      }),
    ],
  };
}

function timeOf(at) {
  return new Date(at * 1000).toLocaleTimeString("en-GB", {
    hour: "2-digit",
    minute: "2-digit",
    second: "2-digit",
  });
}

function shortly(value) {
  return value.toLocaleString("en", {
    notation: "compact",
    maximumFractionDigits: value < 10 ? 1 : 0,
  });
}
