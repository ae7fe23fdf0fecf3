/* Batches in tables. */

import { path } from "./address.js";
import { badge, status } from "./badges.js";
import { element } from "./dom.js";
import { ago, number } from "./format.js";

/** The columns of a table of batches. @param {{factory: boolean}} shown whether to name the factory */
export function batchColumns({ factory }) {
  return [
    { label: "Batch", head: true, cell: named },
    { label: "Status", tight: true, cell: states },
    { label: "Anchor", tight: true, cell: anchored },
    factory && {
      label: "Factory",
      cell: (batch) =>
        element("a", { href: path`/factories/${batch.factory_id}` }, batch.factory_name),
    },
    { label: "Products", n: true, cell: (batch) => number(batch.product_count) },
    { label: "Accepted", tight: true, cell: (batch) => ago(batch.created_at) },
  ].filter(Boolean);
}

/** A batch's status, and that it was recalled. @param {any} batch */
export function states(batch) {
  return element(
    "span",
    { class: "badges" },
    status(batch.status),
    batch.recalled_at && status("recalled"),
  );
}

function named(batch) {
  return element(
    "span",
    { class: "named" },
    element("a", { href: path`/batches/${batch.batch_id}` }, batch.name),
    element("span", { class: "soft small" }, batch.sku),
  );
}

function anchored(batch) {
  if (batch.anchor) return status(batch.anchor.status);
  return badge(batch.status === "failed" ? "None" : "Not yet", "", "clock");
}
