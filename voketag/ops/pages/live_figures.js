/* The figures of now. */

import { byId, element, replace } from "./dom.js";
import { compact, none, number } from "./format.js";

const REASONS = {
  rate_limited: "Too many from one address",
  unavailable: "A server is away",
  forgetful: "Redis does not keep what it takes",
  memory: "Redis is nearly full",
  age: "Too much is not stored yet",
  waiting: "Redis is slower than the scans",
};
const STATUSES = {
  400: "Malformed",
  408: "Too slow",
  413: "Too large",
  415: "Not JSON",
  422: "Invalid field",
  429: "Too many",
  500: "Our fault",
  503: "Try again",
};

/** @param {any} beat null: nothing is known @param {any} state the last one, or null */
export function showFigures(beat, state) {
  const rates = beat?.per_second ?? {};
  const latency = beat?.latency ?? {};
  const tiles = [
    ["Accepted", rates.accepted, "a second"],
    ["Scored", rates.scored, "a second"],
    ["Stored", rates.stored, "a second"],
    ["Refused", refusedIn(beat?.refusals), "a second"],
    ["p50", time(latency, "p50_ms"), "ms to answer"],
    ["p95", time(latency, "p95_ms"), "ms to answer"],
    ["p99", time(latency, "p99_ms"), "ms to answer"],
    ["Today", state?.scans_today, "scans accepted"],
  ];
  replace(byId("figures"), tiles.map(tile));
}

/** @param {any} refusals */
export function showRefusals(refusals) {
  if (none(refusals)) {
    return replace(byId("refusals"), element("p", { class: "unknown" }, "unknown"));
  }
  const rows = [
    ...Object.entries(refusals.statuses).map(([code, rate]) => [
      `${code} ${STATUSES[code] ?? ""}`,
      rate,
    ]),
    ...Object.entries(refusals.reasons).map(([reason, rate]) => [REASONS[reason] ?? reason, rate]),
  ];
  if (refusals.forged) rows.push(["Codes that are not ours", refusals.forged]);
  if (rows.length === 0)
    return replace(byId("refusals"), element("p", { class: "soft" }, "Nothing is refused."));
  replace(
    byId("refusals"),
    element(
      "dl",
      { class: "facts counts" },
      rows.map(([name, rate]) => [element("dt", {}, name), element("dd", {}, number(rate, 2))]),
    ),
  );
}

function refusedIn(refusals) {
  if (none(refusals)) return null;
  return Object.values(refusals.statuses).reduce((sum, rate) => sum + rate, 0);
}

/** Nothing was answered: that is known, and is not 0 ms. */
function time(latency, name) {
  return latency.answers === 0 ? "none" : latency[name];
}

function tile([label, value, note]) {
  const shown = typeof value === "string" ? value : compact(value);
  return element(
    "div",
    { class: "tile" },
    element("dt", {}, label),
    element("dd", { class: typeof value === "number" ? null : "unknown" }, shown),
    element("dd", { class: "note" }, note),
  );
}
