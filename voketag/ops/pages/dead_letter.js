/* One dead letter: what it is, why it was given up, and what can be done. */

import { path } from "./address.js";
import { get } from "./api.js";
import { notice } from "./badges.js";
import { actionButtons, askedAction } from "./dead_actions.js";
import { byId, element, replace } from "./dom.js";
import { moment } from "./format.js";
import { crumbs } from "./layout.js";
import { entitle, may, run, say } from "./page.js";

const KINDS = {
  scans: "an accepted scan, on its way to be scored",
  scored: "a scored scan, on its way to be stored",
  batches: "an accepted batch, on its way to have its products made",
  roots: "the Merkle root of a batch, on its way to the chain",
  notices: "a notice for a factory",
};
/* What an error means and what to do, by how it begins. */
const MEANINGS = [
  [
    /^entry version/,
    "It was written in another version of the format than this program reads.",
    "Run the version that reads it, or redrive after the update that does.",
  ],
  [
    /^not an? /,
    "It cannot be read: it is damaged, or whoever wrote it does not keep to the format.",
    "It will never succeed as it is. Find who wrote it; then drop it.",
  ],
  [
    /^no batch /,
    "It speaks of a batch that Postgres does not have.",
    "Was the database put back to an older state? Redrive once the batch is there; else drop it.",
  ],
  [
    /^unknown batch/,
    "It speaks of a batch that Postgres does not have, or has with another root.",
    "Was the database put back to an older state? Redrive once the batch is there; else drop it.",
  ],
  [
    /cannot be stored/,
    "Postgres refuses to store it as it is.",
    "The error names what does not fit. Mend that, then redrive.",
  ],
];

run(async (session) => {
  const [, , stream, entryId] = location.pathname.split("/").map(decodeURIComponent);
  const deadOfStream = `/dead?stream=${encodeURIComponent(stream)}`;
  replace(byId("crumbs"), crumbs(["Dead letters", "/dead"], [stream, deadOfStream], [entryId]));
  let letter;
  try {
    letter = await get(path`/v1/dead/${stream}/${entryId}`);
  } catch (error) {
    if (error.status !== 404) throw error;
    say(notice("info", "It is not here (any more): it was redriven or dropped, or never was."));
    return;
  }
  entitle(`Dead letter of ${letter.stream}`);
  replace(byId("content"), why(letter), about(letter), held(letter));
  if (!may(session, "admin")) {
    say(notice("info", "Redriving and dropping it is for admins."));
    return;
  }
  const list = `/dead?stream=${encodeURIComponent(letter.stream)}`;
  const one = {
    stream: letter.stream,
    choice: { entry_ids: [letter.entry_id] },
    done: () => location.assign(list),
  };
  replace(byId("actions"), actionButtons(one, ""));
  askedAction(one);
});

function why(letter) {
  const tried = Number(letter.attempts);
  const [, meaning, advice] = MEANINGS.find(([begins]) => begins.test(letter.error)) ?? [
    null,
    tried > 1
      ? "Handling it failed again and again, and not because a server was away."
      : "The group refused it: as it is, it can never be handled.",
    "The error says what went wrong. Mend the cause, then redrive.",
  ];
  return card(
    "Why it was given up",
    element(
      "div",
      { class: "body why" },
      element("p", {}, `${meaning} ${advice}`),
      element("pre", { class: "error-text" }, letter.error),
    ),
  );
}

function about(letter) {
  const kind = KINDS[letter.stream.split(":")[0]] ?? "an entry";
  const facts = [
    ["What", kind],
    ["Stream", letter.stream],
    ["Given up by", `the group ${letter.group}`],
    ["Given up", moment(letter.buried_at)],
    ["Tried", letter.attempts === "1" ? "once" : `${letter.attempts} times`],
    ["Entry before", element("span", { class: "mono" }, letter.original_id)],
    ["Entry here", element("span", { class: "mono" }, letter.entry_id)],
  ];
  return card(
    "What it is",
    element(
      "dl",
      { class: "body facts" },
      facts.map(([name, value]) => [element("dt", {}, name), element("dd", {}, value)]),
    ),
  );
}

function held(letter) {
  const fields = Object.entries(letter.fields).map(([name, value]) => [
    element("h3", {}, name),
    element(
      "pre",
      { class: "event", tabindex: "0", role: "region", "aria-label": `Field ${name}` },
      typeof value === "string" ? value : JSON.stringify(value, null, 2),
    ),
  ]);
  return card(
    "What it holds",
    element("div", { class: "body stack" }, fields.length ? fields : "Nothing at all."),
    "Addresses, devices and places are withheld here; the audit keeps the entry byte for byte.",
  );
}

function card(title, body, foot) {
  return element(
    "section",
    { class: "card", "aria-label": title },
    element("header", {}, element("h2", {}, title)),
    body,
    foot && element("footer", {}, foot),
  );
}
