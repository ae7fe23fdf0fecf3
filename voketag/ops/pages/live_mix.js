/* What the scans are like: verdicts, countries, and the products that are scanned most. */

import { verdictWord, VERDICT_NAMES } from "./badges.js";
import { byId, element, replace } from "./dom.js";
import { compact, country, none, percent, unknown } from "./format.js";

const SHOWN_COUNTRIES = 8;
const COLOURS = {
  authentic: "good",
  suspicious: "warn",
  high_risk: "bad",
  recalled: "bad",
  not_recognised: "neutral",
};

/** @param {any} mix */
export function showMix(mix) {
  const estimated = mix.looked_at < mix.scans;
  byId("mix-note").textContent = estimated ? "last 5 min, estimated" : "last 5 min";
  const verdicts = VERDICT_NAMES.map((name) => {
    const scans = mix.verdicts[name] ?? 0;
    return { name: verdictWord(name), scans, share: scans / mix.scans, colour: COLOURS[name] };
  });
  show("verdicts", mix.scans, verdicts);
  show("countries", mix.scans, countriesOf(mix));
  const codes = Object.keys(mix.countries).filter(Boolean).sort();
  if (codes.length !== byId("countries-seen").childElementCount) {
    const options = codes.map((code) => element("option", { value: code }, country(code)));
    replace(byId("countries-seen"), options);
  }
}

/** @param {any[] | null} products */
export function showProducts(products) {
  if (none(products)) return replace(byId("products"), unknown());
  const most = products[0]?.scans;
  const rows = products.map((product) => {
    const name = [product.sku ?? product.product_id, product.name].filter(Boolean).join(" · ");
    const link = element("a", { href: `/products/${product.product_id}`, title: name }, name);
    return { name: link, scans: product.scans, length: product.scans / most };
  });
  show("products", products.length, rows);
}

function countriesOf(mix) {
  const rows = Object.entries(mix.countries)
    .map(([code, scans]) => ({ name: code ? country(code) : "Not known", scans, known: code }))
    .sort((one, other) => other.scans - one.scans)
    .map(({ name, scans, known }) => {
      return { name, scans, share: scans / mix.scans, colour: known ? "" : "neutral" };
    });
  const rest = rows.slice(SHOWN_COUNTRIES);
  if (rest.length < 2) return rows;
  const scans = rest.reduce((sum, row) => sum + row.scans, 0);
  const others = { name: `${rest.length} others`, scans, share: scans / mix.scans };
  return [...rows.slice(0, SHOWN_COUNTRIES), { ...others, colour: "neutral" }];
}

function show(id, any, rows) {
  replace(byId(id), any ? bars(rows) : element("p", { class: "soft" }, "No scans."));
}

/** A bar for each row: as long as its share of all, or as it says itself. */
function bars(rows) {
  return element(
    "ul",
    { class: "bars" },
    rows.map((row) => {
      const fill = element("div", { class: `fill ${row.colour ?? ""}`.trim() });
      fill.style.width = `${100 * (row.length ?? row.share)}%`;
      return element(
        "li",
        {},
        element("span", { class: "name" }, row.name),
        element(
          "span",
          {},
          compact(row.scans),
          row.share !== undefined && element("span", { class: "soft" }, ` ${percent(row.share)}`),
        ),
        element("div", { class: "track", "aria-hidden": "true" }, fill),
      );
    }),
  );
}
