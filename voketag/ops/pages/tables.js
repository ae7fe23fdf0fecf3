/* Tables of data, and the way from one page of them to the next. */

import { asked, changed } from "./address.js";
import { element, replace } from "./dom.js";
import { none, number, unknown } from "./format.js";

/**
 * A column: its heading, whether it holds numbers, and the cell of a row: a node, text or a number.
 * What is null is shown as unknown. `head` marks the column that names the row; `wrong` says
 * whether this value is one to look at; `tight` makes it no wider than it must be.
 * @typedef {{label: string, cell: (row: any) => any, n?: boolean, head?: boolean, tight?: boolean,
 *   wrong?: (row: any) => boolean}} Column
 */

/**
 * A table in a box of its own, which scrolls sideways where it must.
 * @param {string} name what it is a table of, read aloud
 * @param {Column[]} columns @param {any[]} rows
 * @param {{empty?: any, wrong?: (row: any) => boolean}} [options] `empty` stands there without rows
 */
export function table(name, columns, rows, { empty = "There is nothing here.", wrong } = {}) {
  if (rows.length === 0) return element("div", { class: "empty" }, empty);
  const headings = columns.map((column) =>
    element("th", { scope: "col", class: column.n ? "n" : null }, column.label),
  );
  const body = element("tbody");
  fill(body, columns, rows, wrong);
  return element(
    "div",
    { class: "scroll", tabindex: "0", role: "region", "aria-label": name },
    element("table", {}, element("thead", {}, element("tr", {}, headings)), body),
  );
}

/**
 * Show a table in `place`, or, where it stands there already, its rows of now: how far somebody has
 * scrolled it stays as it is.
 * @param {Element} place @param {string} name @param {Column[]} columns @param {any[]} rows
 * @param {{empty?: any, wrong?: (row: any) => boolean}} [options]
 */
export function renew(place, name, columns, rows, options = {}) {
  const body = place.querySelector("tbody");
  if (body === null || rows.length === 0) replace(place, table(name, columns, rows, options));
  else fill(body, columns, rows, options.wrong);
}

/**
 * Put rows in place of those that a body of a table has.
 * @param {Element} body @param {Column[]} columns @param {any[]} rows
 * @param {(row: any) => boolean} [wrong] which rows are to be looked at
 */
function fill(body, columns, rows, wrong = () => false) {
  replace(
    body,
    rows.map((row) =>
      element(
        "tr",
        { class: wrong(row) ? "wrong" : null },
        columns.map((column) => cell(column, row)),
      ),
    ),
  );
}

/**
 * Links to the first page and to the next one, null where there is but one.
 * @param {string | null} next the cursor of the page after this one
 */
export function pager(next) {
  const first = asked("cursor") !== "";
  if (!first && !next) return null;
  return element(
    "nav",
    { class: "pager", "aria-label": "Pages" },
    first && element("a", { class: "button", href: changed({ cursor: null }) }, "First page"),
    next && element("a", { class: "button", href: changed({ cursor: next }) }, "Next page"),
  );
}

function cell(column, row) {
  const value = column.cell(row);
  const shown = none(value) ? unknown() : typeof value === "number" ? number(value, 1) : value;
  const classes = [column.n && "n", column.tight && "tight", column.wrong?.(row) && "wrong"].filter(
    Boolean,
  );
  return element(
    column.head ? "th" : "td",
    { class: classes.join(" ") || null, scope: column.head ? "row" : null },
    shown,
  );
}
