// The answer to a scan, in the page. The server writes the same for who has no scripts: see
// producers/page_answers.py.

import { day, filled, many, words } from "./words.js";

const told = words.told;

/** Show an answer of POST /v1/scans. */
export function showResult(main, answer) {
  const verdict = told.verdicts[answer.verdict];
  main.dataset.verdict = answer.verdict;
  put("verdict-title", verdict.title);
  put("verdict-summary", verdict.summary);
  document.getElementById("verdict-icon").setAttribute("href", `#icon-${answer.verdict}`);
  if (answer.product) showProduct(answer.product);
  list("known-list", knownOf(answer));
  list("next-list", verdict.steps);
  put("reference", answer.scan_id);
  document.title = `${verdict.title} · ${words.page.brand}`;
  main.dataset.state = "result";
  return `${verdict.title}. ${verdict.summary}`;
}

function showProduct(product) {
  document.querySelector("#product-name bdi").textContent = product.name;
  put("product-serial", product.serial);
  put("product-sku", product.sku);
  const made = product.manufactured_at;
  put("product-made", made === null ? told.not_stated : day(made));
}

/** What we know of the product's scans: how many, and what is unusual about them. */
function knownOf({ history, risk }) {
  if (!history) return [];
  const counts = { times: many(told.times, history.scans), countries: countriesOf(history) };
  const reasons = risk.reasons.map(({ code }) =>
    filled(told.reasons[code] ?? told.reasons.unknown, counts),
  );
  if (history.scans === 1) return [told.history_first, ...reasons];
  const sentence = history.countries.length ? told.history_countries : told.history;
  const first = filled(told.first_scanned, { date: day(history.first_scanned_at) });
  return [filled(sentence, counts), first, ...reasons];
}

function countriesOf({ countries }) {
  const most = words.countries_remembered;
  if (countries.length >= most) return filled(told.countries_at_least, { n: most });
  return many(told.countries, countries.length);
}

function put(id, text) {
  document.getElementById(id).textContent = text;
}

function list(id, texts) {
  const items = texts.map((text) => {
    const item = document.createElement("li");
    item.textContent = text;
    return item;
  });
  document.getElementById(id).replaceChildren(...items);
}
