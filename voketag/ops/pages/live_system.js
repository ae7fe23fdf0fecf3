/* How the system stands: streams and groups, and anchoring. */

import { asked, changed } from "./address.js";
import { status } from "./badges.js";
import { byId, element, replace } from "./dom.js";
import { ago, compact, counted, duration, none, number, short, unknown } from "./format.js";
import { renew } from "./tables.js";

const SHOWN_STREAMS = 24;
const OLD_S = 30;
const GROUPS = [
  { label: "Stream", head: true, cell: (row) => row.stream },
  { label: "Length", n: true, cell: (row) => compact(row.length) },
  {
    label: "Group",
    cell: (row) => (row.registered ? row.group : `${row.group} (not ours)`),
    wrong: (row) => !row.registered,
  },
  { label: "Lag", n: true, cell: (row) => (none(row.lag) ? null : compact(row.lag)) },
  { label: "Pending", n: true, cell: (row) => compact(row.pending) },
  {
    label: "Oldest unacked",
    n: true,
    cell: (row) => (row.oldest_unacked_s ? duration(row.oldest_unacked_s) : "none"),
    wrong: (row) => row.oldest_unacked_s > OLD_S,
  },
  {
    label: "Consumers",
    n: true,
    cell: (row) => row.consumers,
    wrong: (row) => row.consumers === 0,
  },
  { label: "Dead", n: true, cell: deadOf, wrong: (row) => row.dead > 0 },
];
/** @param {any[] | null} streams */
export function showStreams(streams) {
  if (none(streams)) return replace(byId("streams"), nothingKnown());
  const rows = streams.flatMap((stream) => stream.groups.map((group) => ({ ...stream, ...group })));
  const many = streams.length > SHOWN_STREAMS;
  const all = asked("streams") === "all";
  replace(
    byId("streams-more"),
    many &&
      element(
        "a",
        { href: changed({ streams: all ? null : "all" }) },
        all ? "One line for each kind" : `All ${streams.length} streams`,
      ),
  );
  const shown = many && !all ? byKind(rows) : rows;
  renew(byId("streams"), "Table of streams and groups", GROUPS, shown, { wrong });
}

/** One row for each kind of stream and group, which has the worst of all its shards. */
function byKind(rows) {
  const kinds = new Map();
  for (const row of rows) {
    const kind = row.stream.split(":")[0];
    const key = `${kind} ${row.group}`;
    const sum = kinds.get(key);
    if (!sum) {
      kinds.set(key, { ...row, stream: kind });
      continue;
    }
    for (const name of ["length", "pending", "dead"]) sum[name] += row[name];
    sum.lag = none(sum.lag) || none(row.lag) ? null : sum.lag + row.lag;
    sum.oldest_unacked_s = Math.max(sum.oldest_unacked_s, row.oldest_unacked_s);
  }
  return [...kinds.values()];
}

/** @param {any} anchoring */
export function showAnchoring(anchoring) {
  if (none(anchoring)) return replace(byId("anchoring"), unknown());
  const { roots_waiting: roots, last_final: last } = anchoring;
  const waiting = roots
    ? `${number(roots)}, the oldest for ${duration(anchoring.roots_waiting_s)}`
    : "none";
  replace(
    byId("anchoring"),
    element(
      "dl",
      { class: "facts" },
      fact("Roots waiting", waiting),
      fact(
        "On the way",
        anchoring.open_count ? counted(anchoring.open_count, "transaction") : "none",
      ),
    ),
    anchoring.open.map(anchor),
    element("h3", {}, "Last final"),
    last === null
      ? element("p", { class: "soft" }, "None so far.")
      : element(
          "dl",
          { class: "facts" },
          fact("When", ago(last.final_at)),
          fact("Transaction", short(last.tx_hash)),
          fact("Block", number(last.block_number)),
          fact("Gas used", number(last.gas_used)),
          fact("Batches", number(last.batch_count)),
        ),
  );
}

function anchor(one) {
  const needed = one.confirmations_needed;
  const confirmed = none(one.confirmations)
    ? `none of ${needed} yet`
    : `${one.confirmations} of ${needed}`;
  const fee = none(one.max_fee_per_gas)
    ? unknown()
    : `${number(one.max_fee_per_gas / 1e9, 2)} gwei at most`;
  return element(
    "div",
    { class: "anchor" },
    element("p", {}, status(one.status), short(one.tx_hash)),
    element(
      "dl",
      { class: "facts" },
      fact("Confirmations", confirmed),
      fact("Fee", fee),
      one.gas_used !== null && fact("Gas used", number(one.gas_used)),
      fact("Batches", number(one.batch_count)),
      fact("Signed", `${duration(one.age_s)} ago`),
      one.transactions > 1 && fact("Attempts", number(one.transactions)),
      one.error !== null && fact("Refused", one.error),
    ),
  );
}

function fact(name, value) {
  return [element("dt", {}, name), element("dd", {}, value)];
}

function deadOf(row) {
  return row.dead
    ? element("a", { href: `/dead?stream=${encodeURIComponent(row.stream)}` }, number(row.dead))
    : 0;
}

function wrong(row) {
  return GROUPS.some((column) => column.wrong?.(row));
}

function nothingKnown() {
  return element("div", { class: "empty" }, unknown());
}
