/* The audit log: who changed what, and when. */

import { asked, path } from "./address.js";
import { get } from "./api.js";
import { notice } from "./badges.js";
import { byId, element, replace } from "./dom.js";
import { choice, filters, latest, query } from "./filters.js";
import { moment, short } from "./format.js";
import { card, nothing } from "./layout.js";
import { run } from "./page.js";
import { closed } from "./roles.js";
import { pager, table } from "./tables.js";

/* What was done, in words, and where its target is shown. */
const ACTIONS = {
  "batch.recall": ["Recalled a batch", "/batches/"],
  "dead_letter.drop": ["Dropped dead letters"],
  "dead_letter.redrive": ["Redrove dead letters"],
  "factory.create": ["Made a factory", "/factories/"],
  "key.create": ["Made an API key"],
  "key.revoke": ["Revoked an API key"],
  "operator.create": ["Made an operator"],
  "operator.revoke": ["Revoked an operator"],
  "report.change": ["Changed a report", "/reports/"],
  "session.sign_in": ["Signed in"],
  "session.sign_out": ["Signed out"],
};
const COLUMNS = [
  { label: "When", tight: true, head: true, cell: (entry) => moment(entry.at) },
  {
    label: "Who",
    tight: true,
    cell: (entry) =>
      element(
        "span",
        { class: "named" },
        entry.actor,
        element("span", { class: "soft small" }, entry.role),
      ),
  },
  { label: "Did what", tight: true, cell: (entry) => ACTIONS[entry.action]?.[0] ?? entry.action },
  { label: "To what", tight: true, cell: target },
  { label: "Detail", cell: (entry) => detail(entry.detail) },
];

run(async (session) => {
  const refused = closed(session, "admin", "The audit log");
  if (refused) return replace(byId("content"), refused);
  const show = latest("list", entries, (error) => notice("bad", error.message));
  const actions = Object.entries(ACTIONS).map(([action, [words]]) => [action, words]);
  const controls = [
    {
      label: "Who",
      control: element("input", {
        id: "actor",
        name: "actor",
        type: "search",
        autocomplete: "off",
        placeholder: "The whole name",
      }),
    },
    {
      label: "Did what",
      control: choice("action", [["", "Anything"], ...actions], "", { name: "action" }),
    },
  ];
  replace(byId("content"), filters(controls, show), element("div", { id: "list", class: "stack" }));
  await show();
});

async function entries(signal) {
  const [actor, action] = [asked("actor"), asked("action")];
  const page = await get(
    `/v1/audit?${query({ actor, action, cursor: asked("cursor"), limit: "100" })}`,
    { signal },
  );
  return [
    card(null, {
      table: table("Audit log", COLUMNS, page.entries, {
        empty:
          actor || action
            ? nothing("Nothing like this was done.", "Clear the filters to see everything.")
            : nothing(
                "Nothing was changed yet.",
                "Every change made here or with the command line will be a line.",
              ),
      }),
    }),
    pager(page.next_cursor),
  ];
}

function target(entry) {
  const place = ACTIONS[entry.action]?.[1];
  const shown = short(entry.target);
  return place ? element("a", { href: place + encodeURIComponent(entry.target) }, shown) : shown;
}

/** What an entry says beside its target, in words. @param {Record<string, any>} told */
function detail(told) {
  const parts = Object.entries(told ?? {}).filter(([, value]) => value !== null);
  if (parts.length === 0) return "";
  return element(
    "span",
    { class: "details" },
    parts.map(([name, value]) =>
      element(
        "span",
        {},
        element("span", { class: "soft" }, `${name.replaceAll("_", " ")} `),
        worded(name, value),
      ),
    ),
  );
}

function worded(name, value) {
  if (name === "factory_id") return element("a", { href: path`/factories/${value}` }, short(value));
  if (value && typeof value === "object" && "from" in value && "to" in value)
    return `${state(value.from)} → ${state(value.to)}`;
  if (name.endsWith("_at")) return moment(value);
  if (value === true) return "yes";
  if (value === false) return "no";
  return typeof value === "string" ? value : JSON.stringify(value);
}

function state(value) {
  return value === null ? "unknown" : String(value).replaceAll("_", " ");
}
