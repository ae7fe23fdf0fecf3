/* The last scans: filtered by the server, which samples them, and paused here. */

import { asked } from "./address.js";
import { VERDICT_NAMES, verdict, verdictWord } from "./badges.js";
import { byId, element, replace } from "./dom.js";
import { clock, compact, country, none, short } from "./format.js";
import { icon } from "./icons.js";
import { renew } from "./tables.js";

const SHOWN = 25;
const TYPING_MS = 300;
const COLUMNS = [
  { label: "Time", tight: true, cell: (scan) => clock(scan.at) },
  { label: "Verdict", tight: true, cell: (scan) => verdict(scan.verdict) },
  { label: "Risk", n: true, cell: (scan) => scan.score },
  {
    label: "Country",
    tight: true,
    cell: (scan) => scan.country && element("span", { title: country(scan.country) }, scan.country),
  },
  { label: "Product", cell: productOf },
  {
    label: "Why",
    cell: (scan) =>
      element("div", { class: "reasons", title: scan.reasons.join(", ") }, scan.reasons.join(", ")),
  },
  { label: "Device", tight: true, cell: (scan) => element("span", { class: "mono" }, scan.device) },
];

export class Tail {
  /** @param {(filter: Record<string, string>) => void} wanted hears what is to be shown from now on */
  constructor(wanted) {
    this.wanted = wanted;
    this.scans = [];
    this.held = null; // what came while it is paused
    this.inputs = {
      verdict: byId("filter-verdict"),
      country: byId("filter-country"),
      text: byId("filter-text"),
    };
    replace(
      this.inputs.verdict,
      element("option", { value: "" }, "Every verdict"),
      VERDICT_NAMES.map((name) => element("option", { value: name }, verdictWord(name))),
    );
    for (const [name, input] of Object.entries(this.inputs)) {
      input.value = asked(name);
      input.addEventListener("input", () => this.typed());
    }
    byId("pause").addEventListener("click", () => this.pause(this.held === null));
    this.pause(false);
  }

  /** @param {any} beat */
  add(beat) {
    const newest = beat.scans.slice().reverse();
    const scored = beat.per_second.scored;
    byId("sampled").textContent =
      scored !== null && scored > beat.looked_at * 1.2 && beat.looked_at > 50
        ? `sampled: ${compact(beat.looked_at)} of ${compact(scored)} a second`
        : "";
    if (newest.length === 0) return;
    if (this.held !== null) {
      this.held = newest.concat(this.held).slice(0, SHOWN);
      return this.label();
    }
    this.scans = newest.concat(this.scans).slice(0, SHOWN);
    this.show();
  }

  pause(paused) {
    if (!paused && this.held?.length) this.scans = this.held.concat(this.scans).slice(0, SHOWN);
    this.held = paused ? [] : null;
    byId("pause").setAttribute("aria-pressed", String(paused));
    this.label();
    this.show();
  }

  label() {
    const paused = this.held !== null;
    const more =
      paused && this.held.length
        ? ` (${this.held.length}${this.held.length < SHOWN ? "" : "+"} new)`
        : "";
    replace(byId("pause"), icon(paused ? "play" : "pause"), paused ? `Go on${more}` : "Pause");
  }

  typed() {
    const code = this.inputs.country.value.trim().toUpperCase();
    const isCode = code === "" || /^[A-Z]{2}$/.test(code);
    this.inputs.country.setAttribute("aria-invalid", String(!isCode));
    clearTimeout(this.timer);
    if (!isCode) return;
    this.timer = setTimeout(() => {
      this.scans = [];
      this.held = this.held && [];
      this.label();
      this.show();
      this.wanted({
        verdict: this.inputs.verdict.value,
        country: code,
        text: this.inputs.text.value.trim(),
      });
    }, TYPING_MS);
  }

  show() {
    const filtered = Object.values(this.inputs).some((input) => input.value.trim());
    renew(byId("tail"), "Table of the last scans", COLUMNS, this.scans, {
      empty: filtered
        ? [
            element("strong", {}, "No scan like that has come yet."),
            "It is looked for among the newest ones.",
          ]
        : [
            element("strong", {}, "No scan has come yet."),
            "Each one is shown here as soon as it is scored.",
          ],
    });
  }
}

function productOf(scan) {
  if (none(scan.product_id)) return element("span", { class: "soft" }, "none of ours");
  return element("a", { href: `/products/${scan.product_id}` }, scan.sku ?? short(scan.product_id));
}
