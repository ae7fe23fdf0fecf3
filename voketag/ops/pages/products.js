/* Finding a product by whatever is known of it. */

import { asked, changed, path, remember } from "./address.js";
import { get } from "./api.js";
import { notice, status } from "./badges.js";
import { byId, element, replace } from "./dom.js";
import { latest, query } from "./filters.js";
import { card, nothing } from "./layout.js";
import { run } from "./page.js";
import { table } from "./tables.js";

const COLUMNS = [
  {
    label: "Serial",
    head: true,
    cell: (product) =>
      element("a", { href: path`/products/${product.product_id}` }, product.serial),
  },
  { label: "Product", cell: (product) => product.batch.name },
  { label: "SKU", cell: (product) => product.batch.sku },
  {
    label: "Batch",
    cell: ({ batch }) => element("a", { href: path`/batches/${batch.batch_id}` }, batch.name),
  },
  {
    label: "Factory",
    cell: ({ factory }) =>
      element("a", { href: path`/factories/${factory.factory_id}` }, factory.name),
  },
  {
    label: "State",
    tight: true,
    cell: (product) =>
      product.recalled ? status("recalled") : element("span", { class: "soft" }, "not recalled"),
  },
];

run(async () => {
  const batch = asked("batch_id") && (await get(path`/v1/batches/${asked("batch_id")}`));
  const input = element("input", {
    id: "q",
    name: "q",
    type: "search",
    required: true,
    spellcheck: "false",
    autocapitalize: "off",
    autocomplete: "off",
    placeholder: batch ? "Serial, product id, token or URL" : "Product id, token or URL",
  });
  input.value = asked("q");
  const show = latest("found", found, (error) => notice("bad", error.message));
  const form = element(
    "form",
    {
      class: "search",
      role: "search",
      onsubmit: (event) => {
        event.preventDefault();
        remember({ q: input.value.trim() });
        show();
      },
    },
    element("label", { for: "q" }, batch ? `Find a product of ${batch.name}` : "Find a product"),
    element(
      "div",
      { class: "bar" },
      input,
      element("button", { type: "submit", class: "main" }, "Find"),
      batch &&
        element(
          "a",
          { class: "button", href: changed({ batch_id: null, q: null }) },
          "In all batches",
        ),
    ),
  );
  replace(byId("content"), form, element("div", { id: "found", class: "stack" }));
  await show();
  if (!asked("q")) input.focus();
});

async function found(signal) {
  const [q, batch_id] = [asked("q"), asked("batch_id")];
  if (!q) return said("A product is found by what is printed on it.", how());
  try {
    const { products } = await get(`/v1/products?${query({ q, batch_id })}`, { signal });
    if (products.length === 0) return said("No product is known by this.", unknownOf(batch_id));
    return card(null, { table: table("Products found", COLUMNS, products) });
  } catch (error) {
    // It is no id, no token that we signed and no URL: a serial, or a forgery.
    if (error.status === 422 && !batch_id) return said("This names no product by itself.", how());
    throw error;
  }
}

function said(none, how) {
  return card(null, { table: element("div", { class: "empty" }, nothing(none, how)) });
}

function how() {
  return [
    "Scan its QR code and paste the URL, or type its token or its id. A serial is one's own only within ",
    "its factory and SKU: ",
    element("a", { href: "/batches" }, "open its batch"),
    " and look for it there. A token that is not found was not signed by us.",
  ];
}

function unknownOf(batch_id) {
  return batch_id
    ? "A serial has to be whole, and as it is printed. It may be one of another batch."
    : "The code is well made, but no batch holds it.";
}
