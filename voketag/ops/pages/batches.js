/* The batches of every factory. */

import { asked } from "./address.js";
import { get } from "./api.js";
import { notice } from "./badges.js";
import { batchColumns } from "./batch_columns.js";
import { byId, element, replace } from "./dom.js";
import { factoryChoice } from "./factory_choice.js";
import { choice, filters, latest, query } from "./filters.js";
import { card, nothing } from "./layout.js";
import { run } from "./page.js";
import { pager, table } from "./tables.js";

const STATUSES = [
  ["", "Any status"],
  ["pending", "Pending"],
  ["processing", "Processing"],
  ["completed", "Completed"],
  ["failed", "Failed"],
];

run(async () => {
  const list = element("div", { id: "list", class: "stack" });
  const show = latest("list", batches, (error) => notice("bad", error.message));
  const controls = [
    { label: "Factory", control: await factoryChoice("Any factory") },
    { label: "Status", control: choice("status", STATUSES, "", { name: "status" }) },
    {
      label: "Accepted since",
      control: element("input", { id: "since", name: "since", type: "date" }),
    },
  ];
  replace(byId("content"), filters(controls, show), list);
  await show();
});

async function batches(signal) {
  const [factory_id, status, since] = ["factory_id", "status", "since"].map(asked);
  const page = await get(
    `/v1/batches?${query({
      factory_id,
      status,
      created_after: since && `${since}T00:00:00Z`,
      cursor: asked("cursor"),
      limit: "50",
    })}`,
    { signal },
  );
  const filtered = factory_id || status || since;
  return [
    card(null, {
      table: table("Batches", batchColumns({ factory: true }), page.batches, {
        wrong: (batch) => batch.status === "failed",
        empty: filtered
          ? nothing("No batch is like this.", "Clear the filters to see every batch.")
          : nothing(
              "No batch yet.",
              "A factory's ERP pushes one with POST /v1/batches and its API key; ",
              element("a", { href: "/factories" }, "Factories"),
              " has the keys.",
            ),
      }),
    }),
    pager(page.next_cursor),
  ];
}
