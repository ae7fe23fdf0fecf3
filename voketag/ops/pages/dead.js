/* The dead letters: how many each stream has, and which. */

import { asked, changed, path } from "./address.js";
import { get } from "./api.js";
import { byId, element, replace } from "./dom.js";
import { ago, number } from "./format.js";
import { run } from "./page.js";
import { pager, table } from "./tables.js";

/** The page of a dead letter. */
export function pageOf(letter) {
  return path`/dead/${letter.stream}/${letter.entry_id}`;
}

const STREAMS = [
  {
    label: "Stream",
    head: true,
    cell: (row) =>
      element("a", { href: changed({ stream: row.stream, cursor: null }) }, row.stream),
  },
  { label: "Dead letters", n: true, cell: (row) => number(row.dead), wrong: (row) => row.dead > 0 },
  { label: "Oldest", cell: (row) => (row.oldest === null ? "none" : ago(row.oldest.buried_at)) },
];
const LETTERS = [
  { label: "Stream", tight: true, cell: (row) => row.stream },
  {
    label: "Entry",
    tight: true,
    head: true,
    cell: (row) => element("a", { class: "mono", href: pageOf(row) }, row.entry_id),
  },
  { label: "Why it was given up", cell: (row) => row.error },
  { label: "Tried", n: true, cell: (row) => `${row.attempts}×` },
  { label: "Given up", tight: true, cell: (row) => ago(row.buried_at) },
];

run(async () => {
  const stream = asked("stream");
  const query = new URLSearchParams({ limit: "50" });
  if (stream) query.set("stream", stream);
  if (asked("cursor")) query.set("cursor", asked("cursor"));
  const page = await get(`/v1/dead?${query}`);
  const letters = element(
    "div",
    { class: "card" },
    element(
      "header",
      {},
      element("h2", {}, stream ? `Given up of ${stream}` : "Given up"),
      stream &&
        element(
          "a",
          { class: "end", href: changed({ stream: null, cursor: null }) },
          "All streams",
        ),
    ),
    table("Dead letters", LETTERS, page.letters, {
      empty: [
        element("strong", {}, "No dead letters."),
        "Every entry was handled, or is still being tried.",
      ],
    }),
  );
  const streams = element(
    "div",
    { class: "card" },
    element("header", {}, element("h2", {}, "By stream")),
    table("Dead letters by stream", STREAMS, page.streams),
  );
  replace(byId("content"), letters, pager(page.next_cursor), streams);
});
