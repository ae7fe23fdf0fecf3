/* Figures, times and ids as a person reads them. What is null is unknown, and never 0. */

import { element } from "./dom.js";

export const UNKNOWN = "unknown";
const NUMBERS = [0, 1, 2].map(
  (digits) => new Intl.NumberFormat("en", { maximumFractionDigits: digits }),
);
const SHORT = new Intl.NumberFormat("en", { notation: "compact", maximumSignificantDigits: 3 });
const CLOCK = new Intl.DateTimeFormat("en-GB", {
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
});
const DAY = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", year: "numeric" });

/** @param {number | null | undefined} value @param {0 | 1 | 2} [digits] */
export function number(value, digits = 0) {
  return none(value) ? UNKNOWN : NUMBERS[digits].format(value);
}

/** A number that may be large, such as 1.24M. @param {number | null | undefined} value */
export function compact(value) {
  if (none(value)) return UNKNOWN;
  return Math.abs(value) < 10_000
    ? number(value, Math.abs(value) < 100 ? 1 : 0)
    : SHORT.format(value);
}

/** @param {number | null | undefined} share of 1 */
export function percent(share) {
  return none(share) ? UNKNOWN : `${number(share * 100, share < 0.1 ? 1 : 0)}%`;
}

/** A length of time, such as 850 ms, 4.2 s, 3 min, 5 h, 2 days. @param {number | null | undefined} seconds */
export function duration(seconds) {
  if (none(seconds)) return UNKNOWN;
  if (seconds === 0) return "0 s";
  if (seconds < 1) return `${number(seconds * 1000, seconds < 0.01 ? 1 : 0)} ms`;
  if (seconds < 120) return `${number(seconds, seconds < 10 ? 1 : 0)} s`;
  if (seconds < 7200) return `${number(seconds / 60)} min`;
  return seconds < 172_800 ? `${number(seconds / 3600)} h` : `${number(seconds / 86_400)} days`;
}

/** The time of the day here. @param {string | number | Date} at */
export function clock(at) {
  return CLOCK.format(new Date(at));
}

/** A day, such as 25 Nov 2026. @param {string | number | Date} at */
export function day(at) {
  return DAY.format(new Date(at));
}

/** A moment with its day, and in UTC for who asks for it. @param {string | null | undefined} at RFC 3339 */
export function moment(at) {
  if (none(at)) return unknown();
  return element("time", { datetime: at, title: at }, `${day(at)}, ${clock(at)}`);
}

/** How long ago. @param {string | null | undefined} at RFC 3339 */
export function ago(at) {
  if (none(at)) return unknown();
  const seconds = Math.max(0, (Date.now() - new Date(at).getTime()) / 1000);
  return element(
    "time",
    { datetime: at, title: at },
    `${duration(Math.max(1, Math.round(seconds)))} ago`,
  );
}

/** A long id or hash: its end where it is one of ours, both ends of a 0x. @param {string | null | undefined} id */
export function short(id) {
  if (none(id)) return unknown();
  const text = id.startsWith("0x")
    ? `${id.slice(0, 8)}…${id.slice(-6)}`
    : id.length > 14
      ? `…${id.slice(-10)}`
      : id;
  return element("span", { class: "mono", title: id }, text);
}

/** Text, or that it is unknown. @param {any} value */
export function text(value) {
  return none(value) ? unknown() : String(value);
}

/** The name of a country by its code, such as Brazil. @param {string | null | undefined} code */
export function country(code) {
  if (none(code)) return UNKNOWN;
  try {
    return new Intl.DisplayNames("en", { type: "region" }).of(code) ?? code;
  } catch {
    return code;
  }
}

/** Several things counted: 1 entry, 2 entries. @param {number} count @param {string} one @param {string} [many] */
export function counted(count, one, many = `${one}s`) {
  return `${number(count)} ${count === 1 ? one : many}`;
}

/** The word for what is not known. */
export function unknown() {
  return element("span", { class: "unknown" }, UNKNOWN);
}

/** @param {any} value */
export function none(value) {
  return value === null || value === undefined || Number.isNaN(value);
}
