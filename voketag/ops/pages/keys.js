/* API keys: what became of each, and what may be done with it. */

import { path } from "./address.js";
import { post, remove } from "./api.js";
import { status } from "./badges.js";
import { shownOnce } from "./copies.js";
import { confirmed, field } from "./dialogs.js";
import { element } from "./dom.js";
import { moment } from "./format.js";
import { may } from "./page.js";
import { table } from "./tables.js";

/** Whether a key is active, expired or revoked. @param {{expires_at?: string | null, revoked_at: string | null}} key */
export function stateOf(key) {
  if (key.revoked_at) return "revoked";
  return key.expires_at && new Date(key.expires_at) <= new Date() ? "expired" : "active";
}

/**
 * The keys of a factory; `changed` is called when one was revoked.
 * @param {any[]} keys @param {import("./page.js").Session} session @param {() => any} changed
 */
export function keysTable(keys, session, changed) {
  const columns = [
    {
      label: "Key",
      head: true,
      cell: (key) => element("span", { class: "mono" }, `${key.prefix}…`),
    },
    { label: "State", cell: (key) => status(stateOf(key)) },
    { label: "Made", cell: (key) => moment(key.created_at) },
    { label: "Ends", cell: (key) => ending(key) },
  ];
  if (may(session, "admin")) {
    columns.push({
      label: "Action",
      n: true,
      cell: (key) => (stateOf(key) === "active" ? revokeButton(key, changed) : ""),
    });
  }
  return table("Keys", columns, keys, { empty: "This factory has no key: it can push nothing." });
}

function ending(key) {
  if (key.revoked_at) return ["revoked ", moment(key.revoked_at)];
  return key.expires_at ? moment(key.expires_at) : "when it is revoked";
}

function revokeButton(key, changed) {
  return element(
    "button",
    {
      type: "button",
      class: "danger",
      "aria-label": `Revoke ${key.prefix}…`,
      onclick: () => revoke(key, changed),
    },
    "Revoke",
  );
}

async function revoke(key, changed) {
  const done = await confirmed({
    title: "Revoke this key?",
    body: [
      element(
        "p",
        {},
        "Key ",
        element("span", { class: "mono" }, `${key.prefix}…`),
        " is refused from this moment on, and it cannot be brought back. What was pushed with it stays.",
      ),
    ],
    action: "Revoke key",
    danger: true,
    act: async () => {
      await remove(path`/v1/keys/${key.key_id}`);
      return true;
    },
  });
  if (done) await changed();
}

/** Make one more key for a factory, and show it once. @param {string} factoryId @param {() => any} changed */
export async function addKey(factoryId, changed) {
  const tomorrow = new Date(Date.now() + 86_400_000).toISOString().slice(0, 10);
  const made = await confirmed({
    title: "New key",
    body: [
      element(
        "p",
        { class: "soft" },
        "The other keys stay valid, so that an ERP can change over without a gap.",
      ),
      field(
        "Last day (optional)",
        element("input", { id: "last-day", name: "last_day", type: "date", min: tomorrow }),
        "It ends with this day, UTC. Left empty, it is valid until it is revoked.",
      ),
    ],
    action: "Make key",
    act: (form) =>
      post(path`/v1/factories/${factoryId}/keys`, { expires_at: endOf(form.get("last_day")) }),
  });
  if (made === null) return;
  await shownOnce("A new key", made.api_key, "The ERP sends it as “Authorization: Bearer …”.");
  await changed();
}

function endOf(day) {
  return day ? `${day}T23:59:59Z` : null;
}
