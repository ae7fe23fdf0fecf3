/* Recalling a batch: it cannot be taken back, so it is confirmed by hand. */

import { path } from "./address.js";
import { post } from "./api.js";
import { confirmed, field } from "./dialogs.js";
import { element } from "./dom.js";
import { counted } from "./format.js";

const REASON_MAX = 500;

/** Ask for the reason and a confirmation, and recall. Gives whether it was done. @param {any} batch */
export async function recall(batch) {
  const done = await confirmed({
    title: `Recall ${batch.name}?`,
    body: [
      element(
        "p",
        {},
        `From now on every scan of its ${counted(batch.product_count, "product")} is answered with `,
        element("strong", {}, "recalled"),
        ", and the factory is told. It cannot be taken back.",
      ),
      field(
        "Reason",
        element("textarea", {
          id: "reason",
          name: "reason",
          required: true,
          maxlength: String(REASON_MAX),
        }),
        "Kept with the batch, shown here and to the factory.",
      ),
      field("Confirmation", confirmation(batch), wanted(batch)),
    ],
    action: "Recall batch",
    danger: true,
    act: async (form) => {
      await post(path`/v1/batches/${batch.batch_id}/recall`, { reason: form.get("reason").trim() });
      return true;
    },
  });
  return done === true;
}

function confirmation(batch) {
  const accepted = [batch.sku.trim(), String(batch.product_count)];
  const input = element("input", {
    id: "confirmation",
    required: true,
    autocomplete: "off",
    autocapitalize: "off",
    spellcheck: "false",
    oninput: () => check(),
  });
  const check = () =>
    input.setCustomValidity(accepted.includes(input.value.trim()) ? "" : wanted(batch));
  return input;
}

function wanted(batch) {
  return `Type the SKU, ${batch.sku}, or the number of products, ${batch.product_count}.`;
}
