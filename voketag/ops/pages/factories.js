/* The factories: who may push batches. */

import { asked, path } from "./address.js";
import { get, post } from "./api.js";
import { shownOnce } from "./copies.js";
import { confirmed, field } from "./dialogs.js";
import { byId, element, replace } from "./dom.js";
import { ago, number } from "./format.js";
import { query } from "./filters.js";
import { stateOf } from "./keys.js";
import { card, nothing } from "./layout.js";
import { run } from "./page.js";
import { guarded } from "./roles.js";
import { pager, table } from "./tables.js";

const COLUMNS = [
  {
    label: "Factory",
    head: true,
    cell: (factory) => element("a", { href: path`/factories/${factory.factory_id}` }, factory.name),
  },
  {
    label: "E-mail",
    cell: (factory) => factory.email ?? element("span", { class: "soft" }, "not shown to a viewer"),
  },
  {
    label: "Keys in use",
    n: true,
    cell: (factory) => number(factory.keys.filter((key) => stateOf(key) === "active").length),
    wrong: (factory) => !factory.keys.some((key) => stateOf(key) === "active"),
  },
  { label: "Batches", tight: true, cell: (factory) => batchesOf(factory) },
  { label: "Made", tight: true, cell: (factory) => ago(factory.created_at) },
];

run(async (session) => {
  replace(
    byId("actions"),
    guarded(session, "admin", {
      label: "New factory",
      does: "make a factory",
      class: "main",
      onclick: create,
    }),
  );
  const page = await get(`/v1/factories?${query({ limit: "50", cursor: asked("cursor") })}`);
  const listed = table("Factories", COLUMNS, page.factories, {
    empty: nothing(
      "No factory yet.",
      "A factory is whoever makes products and pushes batches of them with its API key. ",
      "New factory makes one, or the command ",
      element("code", {}, "voketag factory add"),
      ".",
    ),
  });
  replace(byId("content"), card(null, { table: listed }), pager(page.next_cursor));
});

function batchesOf(factory) {
  return element(
    "a",
    { href: `/batches?${query({ factory_id: factory.factory_id })}` },
    "Batches",
    element("span", { class: "out-of-sight" }, ` of ${factory.name}`),
  );
}

async function create() {
  const made = await confirmed({
    title: "New factory",
    body: [
      field(
        "Name",
        element("input", {
          id: "name",
          name: "name",
          required: true,
          maxlength: "200",
          autofocus: true,
        }),
      ),
      field(
        "E-mail",
        element("input", {
          id: "email",
          name: "email",
          type: "email",
          required: true,
          maxlength: "254",
        }),
        "Whom to write to about its batches. No two factories have the same.",
      ),
    ],
    action: "Make factory",
    act: (form) => post("/v1/factories", { name: form.get("name"), email: form.get("email") }),
  });
  if (made === null) return;
  await shownOnce(
    "The factory's first key",
    made.api_key,
    "Its ERP sends it as “Authorization: Bearer …” with every request to the factory service.",
  );
  location.assign(path`/factories/${made.factory_id}`);
}
