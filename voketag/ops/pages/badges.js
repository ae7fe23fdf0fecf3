/* Verdicts and statuses as a person reads them: a colour, an icon and a word, always together. */

import { element } from "./dom.js";
import { icon } from "./icons.js";

/* What it is called, in which colour, under which icon. */
const VERDICTS = {
  authentic: ["Authentic", "good", "check"],
  suspicious: ["Suspicious", "warn", "warning"],
  high_risk: ["High risk", "bad", "stop"],
  recalled: ["Recalled", "bad", "recall"],
  not_recognised: ["Not recognised", "", "question"],
};
const STATUSES = {
  // of a batch
  pending: ["Pending", "", "clock"],
  processing: ["Processing", "info", "clock"],
  completed: ["Completed", "good", "check"],
  failed: ["Failed", "bad", "stop"],
  recalled: ["Recalled", "bad", "recall"],
  // of an anchor
  queued: ["Queued", "", "clock"],
  submitted: ["Submitted", "info", "arrow"],
  included: ["Included", "info", "anchor"],
  final: ["Final", "good", "check"],
  orphaned: ["Orphaned", "bad", "warning"],
  // of a report
  new: ["New", "info", "flag"],
  in_review: ["In review", "warn", "clock"],
  confirmed: ["Confirmed", "bad", "stop"],
  dismissed: ["Dismissed", "", "cross"],
  // of a key
  active: ["Active", "good", "check"],
  expired: ["Expired", "", "clock"],
  revoked: ["Revoked", "bad", "cross"],
};
const LEVELS = {
  low: ["Low", "good", "check"],
  medium: ["Medium", "warn", "warning"],
  high: ["High", "bad", "stop"],
};

export const VERDICT_NAMES = Object.keys(VERDICTS);

/** The word for a verdict. @param {string} verdict */
export function verdictWord(verdict) {
  return VERDICTS[verdict]?.[0] ?? verdict;
}

/** @param {string} verdict */
export function verdict(verdict) {
  return known(VERDICTS, verdict);
}

/** The status of a batch, an anchor, a report or a key. @param {string | null} status */
export function status(status) {
  return known(STATUSES, status);
}

/** A level of risk. @param {string | null} level */
export function level(level) {
  return known(LEVELS, level);
}

/**
 * A badge of one's own.
 * @param {string} word @param {"" | "good" | "warn" | "bad" | "info"} colour @param {string} sign
 */
export function badge(word, colour, sign) {
  return element("span", { class: `badge ${colour}`.trim() }, icon(sign), word);
}

/**
 * A line that says something has happened or is wrong. One that appears later is read aloud.
 * @param {"good" | "warn" | "bad" | "info"} colour @param {...any} said
 */
export function notice(colour, ...said) {
  const signs = { good: "check", warn: "warning", bad: "stop", info: "info" };
  const role = colour === "bad" ? "alert" : "status";
  return element(
    "div",
    { class: `notice ${colour}`, role },
    icon(signs[colour]),
    element("div", {}, ...said),
  );
}

function known(table, name) {
  if (name === null || name === undefined) return element("span", { class: "unknown" }, "unknown");
  const [word, colour, sign] = table[name] ?? [name, "", "question"];
  return badge(word, colour, sign);
}
