/* The operators: who uses these pages, and what each may do. */

import { asked, path } from "./address.js";
import { get, post, remove } from "./api.js";
import { badge, status } from "./badges.js";
import { shownOnce } from "./copies.js";
import { confirmed, field } from "./dialogs.js";
import { byId, element, replace } from "./dom.js";
import { query } from "./filters.js";
import { moment } from "./format.js";
import { stateOf } from "./keys.js";
import { card, nothing } from "./layout.js";
import { run } from "./page.js";
import { closed } from "./roles.js";
import { pager, table } from "./tables.js";

const ROLES = [
  [
    "viewer",
    "Viewer",
    "Sees everything but reports, personal data and the audit log. Changes nothing.",
  ],
  ["analyst", "Analyst", "Also works on fraud reports and opens dead letters."],
  [
    "admin",
    "Admin",
    "Also recalls batches, makes factories, keys and operators, redrives dead letters, reads the audit log.",
  ],
];

run(async (session) => {
  const refused = closed(session, "admin", "The list of operators");
  if (refused) return replace(byId("content"), refused);
  replace(
    byId("actions"),
    element(
      "button",
      { type: "button", class: "main", onclick: () => create(show) },
      "New operator",
    ),
  );
  async function show() {
    const page = await get(`/v1/operators?${query({ limit: "100", cursor: asked("cursor") })}`);
    replace(
      byId("content"),
      card(null, {
        table: table("Operators", columns(session, show), page.operators, {
          empty: nothing(
            "No operator yet.",
            "Until there is one, everybody uses the admin key, and the audit log cannot tell people apart. Make an operator for each person.",
          ),
        }),
      }),
      pager(page.next_cursor),
      card("What each role may do", {
        body: element(
          "dl",
          { class: "facts" },
          ROLES.map(([, word, may]) => [element("dt", {}, word), element("dd", {}, may)]),
        ),
      }),
    );
  }
  await show();
});

function columns(session, show) {
  return [
    {
      label: "Name",
      head: true,
      cell: (one) => [
        one.name,
        one.name === session.name && element("span", { class: "soft" }, " (you)"),
      ],
    },
    { label: "Role", tight: true, cell: (one) => badge(one.role, "", "people") },
    { label: "Key", cell: (one) => element("span", { class: "mono" }, `${one.prefix}…`) },
    { label: "State", cell: (one) => status(stateOf(one)) },
    { label: "Made", cell: (one) => moment(one.created_at) },
    {
      label: "Action",
      n: true,
      cell: (one) =>
        one.revoked_at ? ["revoked ", moment(one.revoked_at)] : revokeButton(one, show),
    },
  ];
}

function revokeButton(operator, show) {
  return element(
    "button",
    {
      type: "button",
      class: "danger",
      "aria-label": `Revoke ${operator.name}`,
      onclick: () => revoke(operator, show),
    },
    "Revoke",
  );
}

async function revoke(operator, show) {
  const done = await confirmed({
    title: `Revoke ${operator.name}?`,
    body: [
      element(
        "p",
        {},
        "The key is refused and every session of it ends at once. What was done with it stays in the audit log.",
      ),
    ],
    action: "Revoke operator",
    danger: true,
    act: async () => {
      await remove(path`/v1/operators/${operator.operator_id}`);
      return true;
    },
  });
  if (done) await show();
}

async function create(show) {
  const made = await confirmed({
    title: "New operator",
    body: [
      field(
        "Name",
        element("input", {
          id: "name",
          name: "name",
          required: true,
          maxlength: "200",
          autocomplete: "off",
        }),
        "The person's: it stands in the audit log beside everything they change.",
      ),
      element(
        "fieldset",
        { class: "choices" },
        element("legend", { class: "label" }, "Role"),
        ROLES.map(([value, word, may]) => role(value, word, may)),
      ),
    ],
    action: "Make operator",
    act: (form) => post("/v1/operators", { name: form.get("name"), role: form.get("role") }),
  });
  if (made === null) return;
  await shownOnce("The operator's key", made.api_key, "It is what this person signs in with.");
  await show();
}

function role(value, word, may) {
  const id = `role-${value}`;
  return element(
    "div",
    { class: "option" },
    element("input", {
      type: "radio",
      name: "role",
      id,
      value,
      required: true,
      checked: value === "viewer",
      "aria-describedby": `${id}-may`,
    }),
    element(
      "div",
      {},
      element("label", { for: id }, word),
      element("p", { class: "soft small", id: `${id}-may` }, may),
    ),
  );
}
