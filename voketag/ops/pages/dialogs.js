/* Asking before something is done that cannot be taken back. */

import { notice } from "./badges.js";
import { element, replace } from "./dom.js";

/**
 * Ask, and act when told to. While `act` runs the dialog stays; what goes wrong is said in it.
 * Gives what `act` gave, or null where the person thought better of it.
 * @param {{title: string, body: any[], action: string, danger?: boolean,
 *   act: (form: FormData) => Promise<any>}} asked
 *   `body`: what is shown, with fields that have a `name` where something is to be filled in
 * @returns {Promise<any>}
 */
export function confirmed({ title, body, action, danger = false, act }) {
  const said = element("div", {});
  const doing = element("button", { class: danger ? "danger" : "main", type: "submit" }, action);
  const form = element(
    "form",
    { method: "dialog" },
    element("h2", { id: "dialog-title" }, title),
    body,
    said,
    element(
      "div",
      { class: "actions" },
      element("button", { type: "button", onclick: () => dialog.close() }, "Cancel"),
      doing,
    ),
  );
  const dialog = element("dialog", { "aria-labelledby": "dialog-title" }, form);
  document.body.append(dialog);
  return new Promise((resolve) => {
    let result = null;
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      doing.disabled = true;
      replace(said);
      try {
        result = await act(new FormData(form));
        dialog.close();
      } catch (error) {
        replace(said, notice("bad", error.message));
        doing.disabled = false;
      }
    });
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(result);
    });
    dialog.showModal();
  });
}

/**
 * A field with its label, and a hint where there is something to say.
 * @param {string} label @param {any} input an element with an id @param {string} [hint]
 */
export function field(label, input, hint) {
  const hintId = hint ? `${input.id}-hint` : null;
  if (hintId) input.setAttribute("aria-describedby", hintId);
  return element(
    "div",
    { class: "field" },
    element("label", { for: input.id }, label),
    input,
    hint && element("p", { class: "hint", id: hintId }, hint),
  );
}
