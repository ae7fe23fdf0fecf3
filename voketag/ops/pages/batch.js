/* A batch: how far it is on its way to the chain, what it holds, and its recall. */

import { path } from "./address.js";
import { get } from "./api.js";
import { notice, status } from "./badges.js";
import { steps, underWay } from "./batch_steps.js";
import { copyable } from "./copies.js";
import { byId, element, replace } from "./dom.js";
import { country, counted, moment, number, text } from "./format.js";
import { card, crumbs, facts, idOfPage } from "./layout.js";
import { entitle, run, say } from "./page.js";
import { recall } from "./recall.js";
import { guarded } from "./roles.js";

const AGAIN_AFTER_MS = 3000;

run(async (session) => {
  const id = idOfPage();
  replace(byId("crumbs"), crumbs(["Batches", "/batches"], ["Batch"]));
  let shown = "";
  const show = async () => {
    const batch = await get(path`/v1/batches/${id}`);
    // What has not changed is left alone, with where the person is in it.
    if (JSON.stringify(batch) !== shown) draw(session, batch, show);
    shown = JSON.stringify(batch);
    if (underWay(batch)) setTimeout(() => show().catch(stopped), AGAIN_AFTER_MS);
  };
  await show();
});

function stopped(error) {
  say(notice("warn", `What is shown may be old: ${error.message} Reload to see how it is now.`));
}

function draw(session, batch, show) {
  entitle(batch.name);
  replace(byId("states"), status(batch.status), batch.recalled_at && status("recalled"));
  replace(byId("actions"), !batch.recalled_at && recallButton(session, batch, show));
  replace(
    byId("content"),
    batch.recalled_at && recalled(batch),
    card("On its way to the chain", { body: steps(batch) }),
    element("div", { class: "columns" }, about(batch), onTheChain(batch)),
    products(batch),
  );
}

function recallButton(session, batch, show) {
  return guarded(session, "admin", {
    label: "Recall…",
    does: "recall a batch",
    class: "danger",
    onclick: async () => {
      if (await recall(batch)) await show();
    },
  });
}

function recalled(batch) {
  return notice(
    "bad",
    element("strong", {}, "This batch is recalled", batch.recalled_at && ", since "),
    moment(batch.recalled_at),
    `. Every scan of its ${counted(batch.product_count, "product")} is answered with “recalled”.`,
    element("p", { class: "reason" }, "Reason: ", text(batch.recall_reason)),
  );
}

function about(batch) {
  const places = batch.destination_countries.map((code) => `${country(code)} (${code})`);
  return card("What it is", {
    body: facts([
      ["Factory", element("a", { href: path`/factories/${batch.factory_id}` }, batch.factory_name)],
      ["SKU", batch.sku],
      ["Products", number(batch.product_count)],
      ["Manufactured", moment(batch.manufactured_at)],
      ["To be sold in", places.length ? places.join(", ") : "no country was named: anywhere"],
      ...Object.entries(batch.attributes ?? {}).map(([name, value]) => [name, worded(value)]),
      ["Batch id", copyable(batch.batch_id, "the batch's id")],
    ]),
  });
}

function onTheChain(batch) {
  const anchor = batch.anchor ?? {};
  return card("On the chain", {
    end: batch.anchor && status(batch.anchor.status),
    body: facts([
      ["Merkle root", copyable(batch.merkle_root, "the Merkle root")],
      ["Anchored root", copyable(anchor.root, "the anchored root")],
      ["Transaction", copyable(anchor.tx_hash, "the transaction's hash")],
      ["Block", text(anchor.block_number && number(anchor.block_number))],
      ["Block hash", copyable(anchor.block_hash, "the block's hash")],
      ["Contract", copyable(anchor.contract, "the contract's address")],
      ["Chain id", text(anchor.chain_id)],
    ]),
  });
}

function products(batch) {
  const stored = batch.stored_at !== null;
  return card("Products", {
    body: element(
      "div",
      { class: "stack" },
      element(
        "form",
        { class: "bar", action: "/products", role: "search" },
        element("label", { for: "q" }, "Find one of them"),
        element("input", { type: "hidden", name: "batch_id", value: batch.batch_id }),
        element("input", {
          id: "q",
          name: "q",
          type: "search",
          class: "wide",
          required: true,
          placeholder: "Serial, product id, token or URL",
        }),
        element("button", { type: "submit" }, "Find"),
        element(
          "span",
          { class: "soft small" },
          "Its page has the score, the scans and the proof.",
        ),
      ),
      element(
        "p",
        { class: "soft" },
        stored
          ? "All of them, with tokens and URLs, are exported by the factory alone, with its own key:"
          : "Once they are stored, the factory alone exports them, with its own key:",
      ),
      element(
        "pre",
        { class: "command", tabindex: "0", "aria-label": "The command that exports its products" },
        `curl -H "Authorization: Bearer $VOKETAG_KEY" -H "Accept: text/csv" \\\n  $FACTORY_URL/v1/batches/${batch.batch_id}/products`,
      ),
    ),
  });
}

function worded(value) {
  return typeof value === "string" ? value : JSON.stringify(value);
}
