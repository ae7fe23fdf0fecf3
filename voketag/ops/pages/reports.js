/* What people reported, as a queue. */

import { asked, path } from "./address.js";
import { get } from "./api.js";
import { status } from "./badges.js";
import { byId, element, replace } from "./dom.js";
import { query } from "./filters.js";
import { ago } from "./format.js";
import { card, nothing } from "./layout.js";
import { run } from "./page.js";
import { MEANINGS, reasonWord } from "./report_words.js";
import { closed } from "./roles.js";
import { pager, table } from "./tables.js";

const TABS = [
  ["new", "New"],
  ["in_review", "In review"],
  ["confirmed", "Confirmed"],
  ["dismissed", "Dismissed"],
  ["all", "All"],
];
const EMPTY = {
  new: nothing(
    "Nothing waits for you.",
    "A report comes here when somebody who scanned a product sends one from the page with the answer.",
  ),
  in_review: nothing(
    "Nothing is in review.",
    "Open a new report and choose “In review” to show others that you are on it.",
  ),
  confirmed: nothing("Nothing was confirmed yet.", "A report that proved true is kept here."),
  dismissed: nothing("Nothing was dismissed yet.", "A report that was not believed is kept here."),
  all: nothing(
    "No reports.",
    "Whoever scans a product can report it from the page with the answer.",
  ),
};

run(async (session) => {
  const refused = closed(session, "analyst", "The queue of reports");
  if (refused) return replace(byId("content"), refused);
  const tab = asked("status") || "new";
  const page = await get(
    `/v1/reports?${query({ status: tab === "all" ? "" : tab, cursor: asked("cursor"), limit: "50" })}`,
  );
  replace(
    byId("content"),
    tabs(tab),
    MEANINGS[tab] && element("p", { class: "soft" }, MEANINGS[tab]),
    card(null, {
      table: table("Reports", columns(tab), page.reports, { empty: EMPTY[tab] ?? EMPTY.all }),
    }),
    pager(page.next_cursor),
  );
});

function tabs(chosen) {
  return element(
    "nav",
    { "aria-label": "Status" },
    element(
      "ul",
      { class: "tabs" },
      TABS.map(([value, word]) =>
        element(
          "li",
          {},
          element(
            "a",
            { href: `/reports?status=${value}`, "aria-current": value === chosen ? "page" : null },
            word,
          ),
        ),
      ),
    ),
  );
}

function columns(tab) {
  const link = (report) => `${path`/reports/${report.report_id}`}?${query({ status: tab })}`;
  return [
    {
      label: "Report",
      tight: true,
      head: true,
      cell: (report) => element("a", { href: link(report) }, reasonWord(report.reason)),
    },
    { label: "Product", tight: true, cell: product },
    {
      label: "Factory",
      tight: true,
      cell: (report) => report.factory_name ?? report.factory?.name,
    },
    {
      label: "What they wrote",
      cell: (report) =>
        report.description === null
          ? element("span", { class: "soft" }, "nothing")
          : element("span", { class: "excerpt" }, report.description),
    },
    tab === "all" && { label: "Status", tight: true, cell: (report) => status(report.status) },
    { label: "Reported", tight: true, cell: (report) => ago(report.created_at) },
  ].filter(Boolean);
}

function product(report) {
  if (report.product_id === null) return null;
  return element(
    "a",
    { href: path`/products/${report.product_id}` },
    report.name ?? report.product_id,
    report.sku && element("span", { class: "soft" }, ` ${report.sku}`),
  );
}
