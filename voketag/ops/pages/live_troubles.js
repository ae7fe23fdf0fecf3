/* The first line: what is wrong, each thing in words, or that all is well. */

import { byId, element, replace } from "./dom.js";
import { clock, counted } from "./format.js";
import { icon } from "./icons.js";

/**
 * @param {{severity: "bad" | "warn", text: string, link: string | null}[] | null} troubles null:
 *   nothing is known yet
 * @param {Date | null} lost since when the server is not heard
 */
export function showTroubles(troubles, lost) {
  const place = byId("troubles");
  const found = lost === null ? troubles : [silence(lost)];
  if (found === null) {
    place.className = "troubles";
    return show(place, "info", "Asking how things stand …", []);
  }
  const worst = found.some((trouble) => trouble.severity === "bad") ? "bad" : "warn";
  place.className = `troubles ${found.length ? worst : "good"}`;
  if (found.length === 0) return show(place, "check", "All is well", []);
  const title =
    lost !== null ? "Not live" : counted(found.length, "thing is", "things are") + " wrong";
  show(place, worst === "bad" ? "stop" : "warning", title, found);
}

function silence(lost) {
  return {
    severity: "bad",
    text: `The server was last heard at ${clock(lost)}. What stands below in grey is of then.`,
    link: null,
  };
}

function show(place, sign, title, troubles) {
  replace(
    place,
    element("h2", { id: "troubles-title" }, icon(sign), title),
    troubles.length > 0 && element("ul", {}, troubles.map(line)),
  );
  const announced = byId("announced");
  if (announced.textContent !== title) announced.textContent = title; // read aloud, once
}

function line(trouble) {
  const text = trouble.link ? element("a", { href: trouble.link }, trouble.text) : trouble.text;
  const bad = trouble.severity === "bad";
  return element(
    "li",
    { class: trouble.severity },
    icon(bad ? "cross" : "warning"),
    element("span", {}, text),
  );
}
