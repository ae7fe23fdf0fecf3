/* A factory: its keys, and its latest batches. */

import { path } from "./address.js";
import { get } from "./api.js";
import { batchColumns } from "./batch_columns.js";
import { copyable } from "./copies.js";
import { byId, element, replace } from "./dom.js";
import { query } from "./filters.js";
import { moment } from "./format.js";
import { addKey, keysTable } from "./keys.js";
import { card, crumbs, facts, idOfPage, nothing } from "./layout.js";
import { entitle, run } from "./page.js";
import { guarded } from "./roles.js";
import { table } from "./tables.js";

run(async (session) => {
  const id = idOfPage();
  replace(byId("crumbs"), crumbs(["Factories", "/factories"], ["Factory"]));
  const show = async () => {
    const factory = await get(path`/v1/factories/${id}`);
    entitle(factory.name);
    replace(
      byId("content"),
      card(null, {
        class: "padded",
        body: facts([
          ["Factory id", copyable(factory.factory_id, "the factory's id")],
          ["E-mail", factory.email ?? element("span", { class: "soft" }, "not shown to a viewer")],
          ["Made", moment(factory.created_at)],
        ]),
      }),
      card("API keys", {
        end: guarded(session, "admin", {
          label: "New key",
          does: "make and revoke keys",
          onclick: () => addKey(id, show),
        }),
        table: keysTable(factory.keys, session, show),
        footer:
          "A key's first characters tell it from others. The key itself is nowhere but with the factory.",
      }),
      await batches(factory),
    );
  };
  await show();
});

async function batches(factory) {
  const { batches } = await get(
    `/v1/batches?${query({ factory_id: factory.factory_id, limit: "10" })}`,
  );
  return card("Latest batches", {
    end: element(
      "a",
      { href: `/batches?${query({ factory_id: factory.factory_id })}` },
      "All its batches",
    ),
    table: table("Latest batches", batchColumns({ factory: false }), batches, {
      empty: nothing(
        "No batch yet.",
        "The factory's ERP pushes one with POST /v1/batches to the factory service, with one of the keys above.",
      ),
    }),
  });
}
