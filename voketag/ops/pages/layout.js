/* The parts that pages are laid out with. */

import { element } from "./dom.js";

/**
 * A card with a heading. @param {any} title
 * @param {{end?: any, body?: any, table?: any, footer?: any, class?: string}} parts
 *   `body` has room around it, `table` has none
 */
export function card(title, { end, body, table, footer, class: kind = "" } = {}) {
  return element(
    "section",
    { class: `card ${kind}`.trim() },
    title &&
      element(
        "header",
        {},
        element("h2", {}, title),
        end && element("div", { class: "end bar" }, end),
      ),
    table,
    body && element("div", { class: "body" }, body),
    footer && element("footer", {}, footer),
  );
}

/** What is known, as names and values; what is no pair is left out. @param {any[]} known */
export function facts(known) {
  return element(
    "dl",
    { class: "facts" },
    known
      .filter((one) => Array.isArray(one))
      .map(([name, value]) => [element("dt", {}, name), element("dd", {}, value)]),
  );
}

/** Figures beside one another. @param {[string, any, any?][]} figures name, value, and a note under it */
export function tiles(figures) {
  return element(
    "dl",
    { class: "tiles" },
    figures.map(([name, value, note]) =>
      element(
        "div",
        { class: "tile" },
        element("dt", {}, name),
        element(
          "dd",
          { class: value === "unknown" ? "unknown" : null },
          value,
          note && element("div", { class: "note" }, note),
        ),
      ),
    ),
  );
}

/** What is shown where there is nothing: what would be here, and how to get it. @param {string} none @param {...any} how */
export function nothing(none, ...how) {
  return [element("strong", {}, none), element("p", {}, how)];
}

/** Where this page belongs. @param {[string, string?][]} places word and href, the last without */
export function crumbs(...places) {
  return element(
    "nav",
    { "aria-label": "Breadcrumb" },
    element(
      "ol",
      { class: "crumbs" },
      places.map(([word, href]) =>
        element(
          "li",
          {},
          href ? element("a", { href }, word) : element("span", { "aria-current": "page" }, word),
        ),
      ),
    ),
  );
}

/** The last part of the path: the id of what the page shows. */
export function idOfPage() {
  return decodeURIComponent(location.pathname.split("/").pop() ?? "");
}
