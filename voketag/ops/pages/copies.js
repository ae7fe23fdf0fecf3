/* Copying what is long, and keys, which are shown once. */

import { notice } from "./badges.js";
import { element, replace } from "./dom.js";
import { icon } from "./icons.js";

/**
 * A button that copies a text.
 * @param {string} text @param {string} name what it is, read aloud @param {string} [kind] of button
 */
export function copyButton(text, name, kind = "plain") {
  const label = element("span", { class: "small" }, kind === "plain" ? "" : "Copy");
  return element(
    "button",
    {
      type: "button",
      class: `copy ${kind}`.trim(),
      title: `Copy ${name}`,
      "aria-label": `Copy ${name}`,
      onclick: async (event) => {
        const button = event.currentTarget;
        const done = await copied(text);
        replace(label, done ? "Copied" : "Press Ctrl+C");
        button.setAttribute("aria-label", done ? `Copied ${name}` : `Press Ctrl+C to copy ${name}`);
      },
    },
    icon("copy"),
    label,
  );
}

/** A long value that breaks where it must, with a button that copies it. @param {string | null} text @param {string} name */
export function copyable(text, name) {
  if (text === null || text === undefined) return element("span", { class: "unknown" }, "unknown");
  return element(
    "span",
    { class: "copyable" },
    element("span", { class: "mono" }, text),
    copyButton(text, name),
  );
}

/**
 * Show a new key, this once; done when the person closes it.
 * @param {string} title @param {string} key @param {string} use what it is for, a sentence
 * @returns {Promise<void>}
 */
export function shownOnce(title, key, use) {
  const dialog = element(
    "dialog",
    { "aria-labelledby": "key-title" },
    element(
      "div",
      { class: "inside" },
      element("h2", { id: "key-title" }, title),
      notice(
        "warn",
        element("strong", {}, "This key is shown now and never again."),
        " Only a hash of it is kept. Who loses it needs a new one.",
      ),
      element(
        "div",
        { class: "secret" },
        element("code", { id: "new-key", tabindex: "0", "aria-label": "The new key" }, key),
        copyButton(key, "the key", ""),
      ),
      element("p", { class: "soft" }, use),
      element(
        "div",
        { class: "actions" },
        element(
          "button",
          { type: "button", class: "main", onclick: () => dialog.close() },
          "I have stored it",
        ),
      ),
    ),
  );
  document.body.append(dialog);
  return new Promise((resolve) => {
    // Escape would lose the key for ever.
    dialog.addEventListener("cancel", (event) => event.preventDefault());
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve();
    });
    dialog.showModal();
  });
}

/* Without TLS a browser gives no clipboard: then the text is selected, to be copied by hand. */
async function copied(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const shown = [...document.querySelectorAll("code, .mono")].find(
      (place) => place.textContent === text,
    );
    if (shown) getSelection()?.selectAllChildren(shown);
    return false;
  }
}
