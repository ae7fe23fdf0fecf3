/* The four steps of a batch on its way to the chain, each with what is known of it. */

import { element } from "./dom.js";
import { moment, none, number, short } from "./format.js";
import { icon } from "./icons.js";

/* How a step stands: the icon, and the word that says it. */
const STANDS = {
  done: ["check", "Done"],
  now: ["clock", "Under way"],
  later: ["dot", "Not yet"],
  failed: ["stop", "Failed"],
};

/** Whether there are steps ahead of a batch. @param {any} batch */
export function underWay(batch) {
  return batch.status === "pending" || batch.status === "processing";
}

/** The steps of a batch as a list. @param {any} batch */
export function steps(batch) {
  const anchor = batch.anchor;
  const inBlock = ["included", "final"].includes(anchor?.status);
  const stored = !none(batch.merkle_root);
  const final = batch.status === "completed" || anchor?.status === "final";
  return element(
    "ol",
    { class: "steps" },
    step("Accepted", "done", moment(batch.created_at), "The factory has its answer."),
    stored
      ? step("Stored", "done", moment(batch.stored_at), ["Merkle root ", short(batch.merkle_root)])
      : step(
          "Stored",
          batch.status === "failed" ? "failed" : "now",
          null,
          batch.status === "failed"
            ? "Its products could not be made; the factory was told why."
            : "Its products are being made.",
        ),
    step(
      "Anchored",
      inBlock ? "done" : stored ? "now" : "later",
      inBlock ? anchored(anchor) : null,
      wayOf(anchor, stored),
    ),
    step(
      "Final",
      final ? "done" : inBlock ? "now" : "later",
      final ? moment(batch.completed_at) : null,
      final
        ? "Confirmed: it cannot be undone."
        : inBlock
          ? confirming(anchor)
          : "Once its block is deep enough.",
    ),
  );
}

function step(name, stands, at, ...said) {
  const [sign, word] = STANDS[stands];
  return element(
    "li",
    { class: `step ${stands}` },
    element("span", { class: "sign" }, icon(sign)),
    element(
      "div",
      {},
      element("h3", {}, name, element("span", { class: "stand" }, word)),
      at && element("div", {}, at),
      element("div", { class: "small soft" }, ...said),
    ),
  );
}

function anchored(anchor) {
  return none(anchor.anchored_at) ? null : moment(anchor.anchored_at);
}

function wayOf(anchor, stored) {
  switch (anchor?.status) {
    case "queued":
      return "Its root waits for the next transaction.";
    case "submitted":
      return ["Sent as ", short(anchor.tx_hash), ", not in a block yet."];
    case "orphaned":
      return "The chain dropped its block: it is sent again.";
    case "included":
    case "final":
      return ["Block ", number(anchor.block_number), ", transaction ", short(anchor.tx_hash)];
    default:
      return stored ? "Its root waits to be gathered." : "Once its products are stored.";
  }
}

function confirming(anchor) {
  if (none(anchor.confirmations)) return "Waiting for confirmations.";
  return `Waiting for confirmations: ${number(anchor.confirmations)} so far.`;
}
