/* A product: what it is, what is thought of it now and why, and where it was seen. */

import { asked, path } from "./address.js";
import { get } from "./api.js";
import { notice, status, verdict } from "./badges.js";
import { copyable } from "./copies.js";
import { byId, element, replace } from "./dom.js";
import { ago, country, counted, moment, none, number } from "./format.js";
import { card, crumbs, facts, idOfPage, nothing, tiles } from "./layout.js";
import { entitle, may, run } from "./page.js";
import { inShort, scoreShown, verdictNow } from "./reasons.js";
import { reasonWord } from "./report_words.js";
import { pager, table } from "./tables.js";
import { worldMap } from "./world_map.js";

const ON_THE_MAP = 500;
const SCANS = [
  { label: "Scanned", tight: true, head: true, cell: (scan) => moment(scan.scanned_at) },
  { label: "Verdict", tight: true, cell: (scan) => verdict(scan.verdict) },
  { label: "Score", n: true, cell: (scan) => scan.score },
  { label: "Why", cell: (scan) => inShort(scan.reasons) },
  { label: "Country", tight: true, cell: (scan) => (scan.country ? country(scan.country) : null) },
  {
    label: "Device",
    tight: true,
    cell: (scan) => scan.device && element("span", { class: "mono" }, scan.device),
  },
];

run(async (session) => {
  const id = idOfPage();
  replace(byId("crumbs"), crumbs(["Products", "/products"], ["Product"]));
  const [product, page] = await Promise.all([
    get(path`/v1/products/${id}`),
    get(
      `${path`/v1/products/${id}/scans`}?limit=50&cursor=${encodeURIComponent(asked("cursor"))}`.replace(
        /&cursor=$/,
        "",
      ),
    ),
  ]);
  entitle(`${product.batch.name}, ${product.serial}`);
  replace(byId("states"), verdictNow(product));
  replace(
    byId("content"),
    product.recalled && recalled(product),
    figures(product),
    element("div", { class: "columns wide-first" }, score(product), identity(product)),
    await places(id, product),
    reports(session, product),
    timeline(page),
    pager(page.next_cursor),
  );
});

function recalled(product) {
  const batch = product.batch;
  return notice(
    "bad",
    element("strong", {}, "Recalled"),
    ", with all of its batch",
    batch.recalled_at && [", since ", moment(batch.recalled_at)],
    ".",
    batch.recall_reason && element("p", { class: "reason" }, `Reason: ${batch.recall_reason}`),
  );
}

function figures(product) {
  const history = product.history;
  const known = (value) => (history === null ? "none yet" : value);
  return tiles([
    ["Scans", history === null ? "0" : number(history.scans)],
    ["Countries", history === null ? "0" : number(count(history.countries))],
    ["Devices", history === null ? "0" : number(count(history.devices))],
    ["First scan", known(ago(history?.first_scanned_at))],
    ["Latest scan", known(ago(history?.last_scanned_at))],
  ]);
}

function count(listOrNumber) {
  return Array.isArray(listOrNumber) ? listOrNumber.length : listOrNumber;
}

function score(product) {
  return card("Risk", {
    body: product.score
      ? scoreShown(product.score)
      : element("p", { class: "soft" }, "There is no score before the first scan."),
    footer: "As it stood at its latest scan. Each rule is explained in docs/risk.md.",
  });
}

function identity(product) {
  const { batch, factory } = product;
  return card("Identity", {
    body: facts([
      ["Product", batch.name],
      ["SKU", batch.sku],
      ["Serial", product.serial],
      ["Batch", element("a", { href: path`/batches/${batch.batch_id}` }, batch.name)],
      ["Batch status", status(batch.status)],
      ["Factory", element("a", { href: path`/factories/${factory.factory_id}` }, factory.name)],
      ["Manufactured", moment(batch.manufactured_at)],
      ["Product id", copyable(product.product_id, "the product's id")],
      product.token_url && [
        "Its code leads to",
        copyable(product.token_url, "the URL of its code"),
      ],
      ["Proof", proof(product)],
    ]),
  });
}

function proof(product) {
  const href = path`/v1/products/${product.product_id}/proof`;
  if (product.batch.status !== "completed") return "there is one once its batch is on the chain";
  return element("a", { href, download: `proof-${product.product_id}.json` }, "Download the proof");
}

async function places(id, product) {
  if (none(product.history)) return null;
  const { scans, next_cursor } = await get(`${path`/v1/products/${id}/scans`}?limit=${ON_THE_MAP}`);
  if (scans.length === 0) return null;
  return card("Where it was scanned", {
    end:
      next_cursor &&
      element("span", { class: "soft small" }, `the latest ${number(scans.length)} scans`),
    table: await worldMap(scans),
  });
}

function timeline(page) {
  return card("Scans", {
    table: table("Scans", SCANS, page.scans, {
      empty: nothing(
        "Nobody has scanned it yet.",
        "Each scan of its code by a phone will be a line here, with its score and the reasons for it.",
      ),
    }),
    footer:
      page.scans.length > 0 &&
      "Newest first. A device is told by the first characters of a keyed hash, which leads to nobody.",
  });
}

function reports(session, product) {
  const found = product.reports ?? [];
  const linked = may(session, "analyst");
  return card("Fraud reports", {
    table: table(
      "Fraud reports",
      [
        {
          label: "Reported",
          tight: true,
          head: true,
          cell: (report) =>
            linked
              ? element("a", { href: path`/reports/${report.report_id}` }, ago(report.created_at))
              : ago(report.created_at),
        },
        { label: "Status", tight: true, cell: (report) => status(report.status) },
        { label: "Reason", tight: true, cell: (report) => reasonWord(report.reason) },
        { label: "Changed last", cell: (report) => ago(report.updated_at) },
      ],
      found,
      {
        empty: nothing(
          "Nobody has reported it.",
          "Whoever scans a product can report it from the page that shows the answer.",
        ),
      },
    ),
    footer:
      found.length > 0 &&
      `${counted(found.length, "report")}.${linked ? "" : " Only an analyst can open them."}`,
  });
}
