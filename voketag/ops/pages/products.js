/* Finding a product by whatever is known of it. */

import { asked, path, remember } from "./address.js";
import { get } from "./api.js";
import { notice, status } from "./badges.js";
import { byId, element, replace } from "./dom.js";
import { latest, query } from "./filters.js";
import { card, nothing } from "./layout.js";
import { run } from "./page.js";
import { table } from "./tables.js";

const COLUMNS = [
  { label: "Serial", head: true, cell: (product) => element("a", { href: path`/products/${product.product_id}` }, product.serial) },
  { label: "Product", cell: (product) => product.name ?? product.batch?.name },
  { label: "SKU", cell: (product) => product.sku ?? product.batch?.sku },
  { label: "Factory", cell: (product) => product.factory_name ?? product.factory?.name },
  { label: "State", tight: true, cell: (product) => (product.recalled ? status("recalled") : element("span", { class: "soft" }, "not recalled")) },
  { label: "Product id", tight: true, cell: (product) => element("span", { class: "mono small" }, product.product_id) },
];

run(async () => {
  const input = element("input", {
    id: "q",
    name: "q",
    type: "search",
    required: true,
    autofocus: true,
    spellcheck: "false",
    autocapitalize: "off",
    placeholder: "Serial, product id, token, or the URL in the QR code",
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
    element("label", { for: "q" }, "Find a product"),
    element("div", { class: "bar" }, input, element("button", { type: "submit", class: "main" }, "Find")),
  );
  replace(byId("content"), form, element("div", { id: "found", class: "stack" }));
  await show();
  if (!asked("q")) input.focus();
});

async function found(signal) {
  const q = asked("q");
  if (!q) {
    return card(null, {
      table: element(
        "div",
        { class: "empty" },
        nothing(
          "A product is found by what is printed on it.",
          "Type its serial, or scan its QR code and paste the URL. Ids and tokens are found too, in either case.",
        ),
      ),
    });
  }
  const { products } = await get(`/v1/products?${query({ q })}`, { signal });
  return card(null, {
    table: table(`Products found for ${q}`, COLUMNS, products, {
      empty: nothing(
        "No product is known by this.",
        "A serial has to be whole, and as it is printed. A token that is not ours is not found either: it may be a forgery.",
      ),
    }),
  });
}
