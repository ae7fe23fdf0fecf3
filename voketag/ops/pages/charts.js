/* Charts over days, drawn by uPlot. What a chart shows stands in a table beside it as well. */

import { element, replace } from "./dom.js";
import { compact, day, UNKNOWN } from "./format.js";
import uPlot from "./uPlot.esm.js";

const HEIGHT = 220;
const cursors = uPlot.sync("days"); // one day is pointed at in all charts of a page

/**
 * What is drawn: its name, the value of each day (null: unknown), its colour (a custom property of
 * the styles), and how an area is filled, so that it is known without its colour.
 * @typedef {{label: string, values: (number | null)[], colour: string,
 *   fill?: "solid" | "lines" | "grid" | "dots" | "back"}} Series
 */

/**
 * A chart with its legend, which tells the values of the day that is pointed at.
 * @param {string} name @param {string[]} days ISO dates, the oldest first @param {Series[]} series
 * @param {{stacked?: boolean, shown: (value: number | null) => string, least?: number}} options
 *   `stacked`: bars on one another, else lines; `least`: the scale goes to this or further
 */
export function dayChart(name, days, series, { stacked = false, shown, least = 4 }) {
  const canvas = element("div", {
    class: "chart",
    role: "img",
    "aria-label": `${name}. The table below has the same figures.`,
  });
  const legend = element("ul", { class: "legend" });
  const figure = element("figure", { class: "chart-figure" }, legend, canvas);
  let plot = null;
  const tell = (at) => replace(legend, legendOf(days, series, at, shown));
  const draw = () => {
    plot?.destroy();
    plot = new uPlot(
      options(canvas.clientWidth, series, { stacked, least, tell }),
      data(days, series, stacked),
      canvas,
    );
  };
  new ResizeObserver(() => {
    if (plot === null) draw();
    else if (plot.width !== canvas.clientWidth)
      plot.setSize({ width: canvas.clientWidth, height: HEIGHT });
  }).observe(canvas);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  tell(null);
  return figure;
}

function data(days, series, stacked) {
  const at = days.map((one) => Date.parse(`${one}T00:00:00Z`) / 1000);
  if (!stacked) return [at, ...series.map((one) => one.values)];
  const sums = days.map(() => 0);
  const stacks = series.map((one) => one.values.map((value, place) => (sums[place] += value ?? 0)));
  return [at, ...stacks.reverse()]; // the highest first: the next one is drawn over its foot
}

function options(width, series, { stacked, least, tell }) {
  const drawn = stacked ? [...series].reverse() : series;
  const axis = {
    stroke: styled("--soft"),
    font: `12px ${styled("--sans")}`,
    grid: { stroke: styled("--line"), width: 1 },
    ticks: { show: false },
  };
  return {
    width,
    height: HEIGHT,
    padding: [8, 18, 0, 0],
    legend: { show: false },
    tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), "Etc/UTC"),
    cursor: {
      y: false,
      drag: { x: false, y: false },
      points: { show: !stacked },
      sync: { key: cursors.key },
    },
    scales: {
      x: { time: true, range: (_, low, high) => [low - 43_200, high + 43_200] },
      y: { range: (_, __, high) => [0, Math.max(least, (high ?? 0) * 1.08)] },
    },
    axes: [
      {
        ...axis,
        size: 24,
        grid: { show: false },
        values: (_, ticks) => ticks.map(dayOfTick),
        incrs: [1, 2, 7, 14, 28].map((n) => n * 86_400),
      },
      { ...axis, size: 46, values: (_, ticks) => ticks.map((tick) => compact(tick)) },
    ],
    series: [{}, ...drawn.map((one) => seriesOf(one, stacked))],
    hooks: { setCursor: [(plot) => tell(plot.cursor.idx)] },
  };
}

function seriesOf(one, stacked) {
  if (stacked) {
    return {
      fill: () => filled(one, devicePixelRatio),
      stroke: styled("--surface"),
      width: 1,
      paths: uPlot.paths.bars({ size: [0.72, 40] }),
      points: { show: false },
    };
  }
  return { stroke: styled(one.colour), width: 2, points: { size: 5 } };
}

/* What fills an area: a colour, or a pattern of it on a paler ground. */
function filled({ colour, fill = "solid" }, scale) {
  const strong = styled(colour);
  if (fill === "solid") return strong;
  const size = 8 * scale;
  const tile = element("canvas", { width: size, height: size });
  const pen = tile.getContext("2d");
  pen.fillStyle = styled("--surface"); // what lies below does not shine through
  pen.fillRect(0, 0, size, size);
  pen.globalAlpha = 0.3;
  pen.fillStyle = strong;
  pen.fillRect(0, 0, size, size);
  pen.globalAlpha = 1;
  pen.strokeStyle = strong;
  pen.lineWidth = 2 * scale;
  const line = (...ends) => {
    pen.beginPath();
    pen.moveTo(ends[0] * scale, ends[1] * scale);
    pen.lineTo(ends[2] * scale, ends[3] * scale);
    pen.stroke();
  };
  if (fill === "lines") for (const from of [-8, 0, 8]) line(from - 1, 9, from + 9, -1);
  if (fill === "back") for (const from of [-8, 0, 8]) line(from - 1, -1, from + 9, 9);
  if (fill === "grid") [line(4, 0, 4, 8), line(0, 4, 8, 4)];
  if (fill === "dots") pen.fillRect(2 * scale, 2 * scale, 3 * scale, 3 * scale);
  return pen.createPattern(tile, "repeat");
}

function legendOf(days, series, at, shown) {
  const one = at === null || at === undefined ? null : days[at];
  return [
    element("li", { class: "legend-day" }, one ? day(one) : `${days.length} days`),
    series.map((line) =>
      element(
        "li",
        {},
        swatch(line),
        line.label,
        one && element("b", {}, ` ${line.values[at] === null ? UNKNOWN : shown(line.values[at])}`),
      ),
    ),
  ];
}

function swatch(line) {
  const made = element("canvas", { class: "swatch", width: 24, height: 24, "aria-hidden": "true" });
  const pen = made.getContext("2d");
  pen.fillStyle = filled(line, 2);
  pen.fillRect(0, 0, 24, 24);
  return made;
}

function dayOfTick(seconds) {
  return new Date(seconds * 1000).toLocaleDateString("en-GB", {
    day: "numeric",
    month: "short",
    timeZone: "UTC",
  });
}

function styled(property) {
  return getComputedStyle(document.documentElement).getPropertyValue(property).trim();
}
