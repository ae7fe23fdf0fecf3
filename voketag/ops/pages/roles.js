/* What the role of who is signed in allows. The server decides; the pages say it beforehand. */

import { notice } from "./badges.js";
import { element } from "./dom.js";
import { may } from "./page.js";

/**
 * A button for what needs a role. Whoever has not got it sees that it is there, and why not for them.
 * @param {import("./page.js").Session} session @param {string} role
 * @param {{label: any, does: string, class?: string, onclick: (event: Event) => any}} button
 *   `does`: what it does, as the end of "Only an admin can ..."
 */
export function guarded(session, role, { label, does, class: kind, onclick }) {
  if (may(session, role)) return element("button", { type: "button", class: kind, onclick }, label);
  return element(
    "span",
    { class: "guarded" },
    element("button", { type: "button", class: kind, disabled: true }, label),
    element("span", { class: "small soft" }, `Only ${a(role)} can ${does}.`),
  );
}

/**
 * What stands in place of a page that the role does not open, null where it does.
 * @param {import("./page.js").Session} session @param {string} role @param {string} what is shown
 */
export function closed(session, role, what) {
  if (may(session, role)) return null;
  return notice(
    "info",
    element("strong", {}, `${what} needs the role ${role}.`),
    ` You are signed in as ${session.name} with the role ${session.role}; an admin can give you a key with another one.`,
  );
}

function a(role) {
  return `${/^[aeiou]/.test(role) ? "an" : "a"} ${role}`;
}
