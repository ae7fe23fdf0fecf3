/* The dead letters: how many each stream has, and which. */

import { asked, changed } from "./address.js";
import { get } from "./api.js";
import { notice } from "./badges.js";
import { actionButtons, askedAction, pageOf } from "./dead_actions.js";
import { byId, element, replace } from "./dom.js";
import { ago, counted, number } from "./format.js";
import { may, run, say } from "./page.js";
import { pager, table } from "./tables.js";

const PAGE = "50";
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
  { label: "Group", tight: true, cell: (row) => row.group },
  {
    label: "Why it was given up",
    cell: (row) => element("div", { class: "error", title: row.error }, row.error),
  },
  { label: "Tried", n: true, cell: (row) => `${row.attempts}×` },
  { label: "Given up", tight: true, cell: (row) => ago(row.buried_at) },
];

run(async (session) => {
  const stream = asked("stream");
  const query = new URLSearchParams({ limit: PAGE });
  if (stream) query.set("stream", stream);
  if (asked("cursor")) query.set("cursor", asked("cursor"));
  const page = await get(`/v1/dead?${query}`);
  const dead = page.streams.reduce((sum, one) => sum + one.dead, 0);
  const letters = element(
    "section",
    { class: "card", "aria-label": "Given up" },
    element(
      "header",
      {},
      element("h2", {}, stream || "Every stream"),
      element("span", { class: "soft" }, dead ? counted(dead, "dead letter") : ""),
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
    "section",
    { class: "card", "aria-label": "By stream" },
    element("header", {}, element("h2", {}, "By stream")),
    table("Dead letters by stream", STREAMS, page.streams),
  );
  replace(byId("content"), letters, pager(page.next_cursor), !stream && streams);
  if (!stream || !dead) return;
  if (!may(session, "admin")) {
    say(notice("info", "Redriving and dropping them is for admins."));
    return;
  }
  const all = {
    stream,
    choice: { all: true },
    done: () => location.assign(changed({ act: null })),
  };
  replace(byId("actions"), actionButtons(all, "all"));
  askedAction(all);
});
