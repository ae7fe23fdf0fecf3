/* The scans of each day: as charts, as a table, and as a file. */

import { asked, path, remember } from "./address.js";
import { get } from "./api.js";
import { notice, verdictWord } from "./badges.js";
import { dayChart } from "./charts.js";
import { byId, element, replace } from "./dom.js";
import { factoryChoice } from "./factory_choice.js";
import { filters, latest, query } from "./filters.js";
import { day, none, number, percent } from "./format.js";
import { card, nothing, tiles } from "./layout.js";
import { run } from "./page.js";
import { table } from "./tables.js";

const DAY_MS = 86_400_000;
const RANGE_DAYS = 30;
const RANGES = [7, 30, 90];
/* The verdicts from the foot of a bar to its top, each with a colour and a pattern of its own. */
const VERDICTS = [
  ["authentic", "--chart-authentic", "solid"],
  ["suspicious", "--chart-suspicious", "lines"],
  ["high_risk", "--chart-high-risk", "solid"],
  ["recalled", "--chart-recalled", "back"],
  ["not_recognised", "--chart-not-recognised", "dots"],
];
const COLUMNS = [
  { label: "Day (UTC)", head: true, tight: true, cell: (one) => day(one.day) },
  { label: "Scans", n: true, cell: (one) => number(one.scans) },
  { label: "Products", n: true, cell: (one) => number(one.unique_products) },
  {
    label: "Average risk",
    n: true,
    cell: (one) => (none(one.avg_risk_score) ? null : one.avg_risk_score.toFixed(1)),
  },
  ...VERDICTS.map(([name]) => ({
    label: verdictWord(name),
    n: true,
    cell: (one) => number(one[name]),
  })),
];

run(async () => {
  const show = latest("figures", figures, (error) => notice("bad", error.message));
  const [first, last] = rangeOf(RANGE_DAYS);
  const date = (name) => element("input", { id: name, name, type: "date", required: true });
  const controls = [
    { label: "From", control: date("from"), usual: first },
    { label: "To", control: date("to"), usual: last },
    { label: "Factory", control: await factoryChoice("All factories") },
  ];
  const bar = filters(controls, show);
  bar.append(
    element(
      "div",
      { class: "bar ranges", role: "group", "aria-label": "Range" },
      RANGES.map((days) =>
        element("button", { type: "button", onclick: () => choose(days) }, `${days} days`),
      ),
    ),
  );
  function choose(days) {
    const [from, to] = rangeOf(days);
    byId("from").value = from;
    byId("to").value = to;
    remember({ from, to });
    show();
  }
  replace(byId("content"), bar, element("div", { id: "figures", class: "stack" }));
  await show();
});

/** The last so many UTC days, today with them. */
function rangeOf(days) {
  const now = Date.now();
  return [now - (days - 1) * DAY_MS, now].map((at) => new Date(at).toISOString().slice(0, 10));
}

async function figures(signal) {
  const [first, last] = rangeOf(RANGE_DAYS);
  const wanted = {
    from: asked("from") || first,
    to: asked("to") || last,
    factory_id: asked("factory_id"),
  };
  if (wanted.from > wanted.to) return notice("warn", "The first day is after the last one.");
  const [{ days }, stats] = await Promise.all([
    get(`/v1/stats/daily?${query(wanted)}`, { signal }),
    get("/v1/stats", { signal }),
  ]);
  const ordered = [...days].sort((a, b) => a.day.localeCompare(b.day));
  return [totals(ordered), charts(ordered), ofDays(ordered, wanted), top(stats.top_products)];
}

function totals(days) {
  const all = (name) => days.reduce((sum, one) => sum + one[name], 0);
  const scans = all("scans");
  const known = days.filter((one) => !none(one.avg_risk_score));
  const weights = known.reduce((sum, one) => sum + one.scans - one.not_recognised, 0);
  const risk = known.reduce(
    (sum, one) => sum + one.avg_risk_score * (one.scans - one.not_recognised),
    0,
  );
  return tiles([
    ["Scans", number(scans), `in ${days.length} days`],
    ["Average risk", weights ? number(risk / weights, 1) : "unknown", "of 100"],
    ...["suspicious", "high_risk", "recalled", "not_recognised"].map((name) => [
      verdictWord(name),
      number(all(name)),
      scans ? percent(all(name) / scans) : "",
    ]),
  ]);
}

function charts(days) {
  const dates = days.map((one) => one.day);
  const whole = (value) => number(value);
  const verdicts = VERDICTS.map(([name, colour, fill]) => ({
    label: verdictWord(name),
    values: days.map((one) => one[name]),
    colour,
    fill,
  }));
  const risk = {
    label: "Average risk",
    values: days.map((one) => one.avg_risk_score),
    colour: "--chart-line",
  };
  const products = {
    label: "Products scanned",
    values: days.map((one) => one.unique_products),
    colour: "--chart-line",
  };
  return [
    card("Scans by verdict", {
      body: dayChart("Scans by verdict", dates, verdicts, { stacked: true, shown: whole }),
    }),
    element(
      "div",
      { class: "columns" },
      card("Average risk", {
        body: dayChart("Average risk", dates, [risk], {
          shown: (value) => number(value, 1),
          least: 20,
        }),
      }),
      card("Products scanned", {
        body: dayChart("Products scanned", dates, [products], { shown: whole }),
      }),
    ),
  ];
}

function ofDays(days, wanted) {
  return card("By day", {
    end: element(
      "a",
      { class: "button", href: `/v1/stats/daily.csv?${query(wanted)}`, download: true },
      "Download CSV",
    ),
    table: table("Scans by day", COLUMNS, [...days].reverse(), {
      empty: nothing("No day in this range.", "Choose an earlier first day."),
    }),
    footer: "Days are those of UTC. The file has exactly these rows.",
  });
}

function top(products) {
  const columns = [
    {
      label: "Product",
      head: true,
      cell: (one) =>
        element("a", { href: path`/products/${one.product_id}` }, one.name ?? one.product_id),
    },
    { label: "SKU", cell: (one) => one.sku },
    { label: "Scans today", n: true, cell: (one) => number(one.scans) },
  ];
  return card("Most scanned today", {
    table: table("Most scanned products today", columns, products, {
      empty: nothing(
        "No product was scanned today.",
        "The ten that are scanned most will be listed here, of all factories.",
      ),
    }),
  });
}
