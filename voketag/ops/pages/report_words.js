/* Reports in words: what people say, and what each status comes to. */

const REASONS = {
  counterfeit: "Counterfeit",
  damaged: "Damaged",
  mismatch: "Does not match",
  stolen: "Stolen",
  other: "Something else",
};

/* What a status means for the rule "reported" of the score (docs/risk.md). */
export const MEANINGS = {
  new: "Nobody has looked at it yet. It counts: who reported it adds to the product's score.",
  in_review: "Somebody is looking into it. It counts as long as it is not dismissed.",
  confirmed: "It is true. It counts, and stays with the product.",
  dismissed:
    "It is not believed. It no longer counts: once all the reports of one person are dismissed, that person adds nothing to the score.",
};

/** What somebody reported a product for. @param {string} reason */
export function reasonWord(reason) {
  return REASONS[reason] ?? reason;
}
