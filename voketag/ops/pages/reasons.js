/* A score and what it is made of. */

import { badge, level, verdict } from "./badges.js";
import { element } from "./dom.js";
import { none, number } from "./format.js";
import { table } from "./tables.js";

/* voketag/risk/score.py: from these scores on the level is medium, and high; and it ends at 100. */
const MEDIUM_FROM = 40;
const HIGH_FROM = 70;
const HIGHEST = 100;

/* What a rule is called here; its own sentence says what it found. */
const RULES = {
  scan_velocity: "Scanned too fast",
  repeat_scans: "Many scans",
  many_devices: "Many devices",
  many_countries: "Many countries",
  impossible_travel: "Impossible travel",
  outside_destination: "Outside its market",
  automated_client: "Scanned by a program",
  datacenter_address: "Data-centre address",
  probing_device: "Device tries codes",
  probing_address: "Network tries codes",
  reported: "Reported",
};

/** What a rule is called. @param {string} code */
export function ruleWord(code) {
  return RULES[code] ?? code;
}

/**
 * What is thought of a product now: a recall counts from the moment it is made, whatever the latest
 * scan was told. @param {any} product
 */
export function verdictNow(product) {
  if (product.recalled) return verdict("recalled");
  return product.score ? verdict(product.score.verdict) : badge("Not scanned yet", "", "clock");
}

/** Each reason in two words and its points, on one line. @param {any[] | null} reasons */
export function inShort(reasons) {
  if (none(reasons)) return element("span", { class: "unknown" }, "unknown");
  if (reasons.length === 0) return element("span", { class: "soft" }, "no reason to doubt");
  return element(
    "span",
    { class: "reasons" },
    reasons.map((reason) =>
      element(
        "span",
        { class: "reason-short", title: reason.detail },
        ruleWord(reason.code),
        element("b", {}, ` +${reason.points}`),
      ),
    ),
  );
}

/** A score as a bar of its reasons, and as a table that adds up to it. @param {any} score */
export function scoreShown(score) {
  const sum = score.reasons.reduce((total, reason) => total + reason.points, 0);
  return element(
    "div",
    { class: "stack" },
    element(
      "div",
      { class: "score-head" },
      element("span", { class: "score-figure" }, number(score.score)),
      element("span", { class: "soft" }, "of 100"),
      level(score.level),
    ),
    bar(score),
    score.reasons.length > 0
      ? reasonsTable(score, sum)
      : element("p", { class: "soft" }, "No rule found a reason to doubt it."),
  );
}

function bar(score) {
  let left = 0;
  const parts = score.reasons.map((reason, place) => {
    const width = Math.max(0, Math.min(reason.points, HIGHEST - left));
    const part = element("div", { class: `score-part shade-${place % 4}` });
    part.style.left = `${left}%`;
    part.style.width = `${width}%`;
    left += width;
    return part;
  });
  return element(
    "div",
    { class: "score", "aria-hidden": "true" },
    element("div", { class: `score-bar ${score.level}` }, parts),
    element(
      "div",
      { class: "score-scale" },
      mark(0, "0 low"),
      mark(MEDIUM_FROM, `${MEDIUM_FROM} medium`),
      mark(HIGH_FROM, `${HIGH_FROM} high`),
    ),
  );
}

function mark(at, word) {
  const made = element("span", {}, word);
  made.style.left = `${at}%`;
  return made;
}

function reasonsTable(score, sum) {
  const shown = table(
    "Reasons for the score",
    [
      { label: "Rule", head: true, tight: true, cell: (reason) => ruleWord(reason.code) },
      { label: "What it found", cell: (reason) => reason.detail },
      { label: "Points", n: true, cell: (reason) => `+${number(reason.points)}` },
    ],
    score.reasons,
  );
  const over = sum > HIGHEST;
  shown
    .querySelector("table")
    .append(
      element(
        "tfoot",
        {},
        element(
          "tr",
          {},
          element(
            "th",
            { scope: "row", colspan: "2" },
            over ? `Score (${sum} in all, ${HIGHEST} at most)` : "Score",
          ),
          element("td", { class: "n" }, number(score.score)),
        ),
      ),
    );
  return shown;
}
