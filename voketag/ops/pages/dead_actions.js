/* Putting dead letters back and throwing them away: first what would be done, then what was. */

import { asked, path, remember } from "./address.js";
import { post } from "./api.js";
import { badge, notice } from "./badges.js";
import { field } from "./dialogs.js";
import { element, replace } from "./dom.js";
import { counted, number } from "./format.js";
import { icon } from "./icons.js";

const ACTIONS = {
  redrive: {
    word: "Redrive",
    title: "Put back into the stream",
    says: "They go to the end of the stream and are handled like new ones. Mend the cause first, or they come back here.",
    sign: "recall",
    button: "main",
  },
  drop: {
    word: "Drop",
    title: "Throw away",
    says: "They are written down with all they hold, in the audit, and then gone from the stream. This cannot be taken back.",
    sign: "cross",
    button: "danger",
  },
};
const OUTCOMES = {
  would_redrive: ["Would be put back", "info", "arrow"],
  would_drop: ["Would be thrown away", "warn", "warning"],
  redriven: ["Put back", "good", "check"],
  dropped: ["Thrown away", "good", "check"],
  gone: ["Not there any more", "", "question"],
  unknown: ["Unknown: ask again", "warn", "warning"],
};

/**
 * Which dead letters are meant, and what to do when something was done.
 * @typedef {{stream: string, choice: {all: true} | {entry_ids: string[]}, done: () => void}} Chosen
 */

/** The page of a dead letter. @param {{stream: string, entry_id: string}} letter */
export function pageOf(letter) {
  return path`/dead/${letter.stream}/${letter.entry_id}`;
}

/** The buttons that begin each action. @param {Chosen} chosen @param {string} which such as "all" */
export function actionButtons(chosen, which) {
  return Object.entries(ACTIONS).map(([action, { word, sign, button }]) =>
    element(
      "button",
      { type: "button", class: button, onclick: () => begin(action, chosen) },
      icon(sign),
      `${word} ${which}`.trim(),
    ),
  );
}

/** Begin the action that the URL asks for, if it does. @param {Chosen} chosen */
export function askedAction(chosen) {
  if (asked("act") in ACTIONS) begin(asked("act"), chosen);
}

function begin(action, chosen) {
  remember({ act: action });
  const { title, says, word, button } = ACTIONS[action];
  const place = element("div", { class: "stack", "aria-live": "polite" });
  const reason = element("input", { id: "reason", maxlength: "500", autocomplete: "off" });
  const doing = element("button", { class: button, type: "submit", disabled: true }, word);
  const cancel = element("button", { type: "button", onclick: () => dialog.close() }, "Cancel");
  const about = element("p", { class: "soft" }, says);
  const why = field("Reason", reason, "Stands in the audit, for whoever asks later.");
  const form = element(
    "form",
    { method: "dialog" },
    element("h2", { id: "dialog-title" }, `${title}: ${chosen.stream}`),
    about,
    place,
    why,
    element("div", { class: "actions" }, cancel, doing),
  );
  const dialog = element("dialog", { "aria-labelledby": "dialog-title" }, form);
  let acted = false;

  async function ask(dryRun) {
    doing.disabled = true;
    const said = reason.value.trim();
    try {
      return await post(path`/v1/dead/${chosen.stream}/${action}`, {
        ...chosen.choice,
        dry_run: dryRun,
        reason: said === "" ? null : said,
      });
    } catch (error) {
      replace(place, notice("bad", error.message));
      doing.disabled = dryRun;
      return null;
    }
  }

  async function tryIt() {
    const answer = await ask(true);
    if (answer === null) return;
    const there = answer.entries.filter((one) => one.outcome !== "gone").length;
    replace(place, outcomes(answer));
    doing.textContent = `${word} ${counted(there, "entry", "entries")}`;
    doing.disabled = there === 0;
  }

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (doing.disabled) return;
    const answer = await ask(false);
    if (answer === null) return;
    acted = true;
    const left = answer.remaining === null ? "an unknown number" : number(answer.remaining);
    replace(place, outcomes(answer), element("p", {}, `${chosen.stream} has ${left} left.`));
    why.remove();
    about.remove();
    doing.remove();
    cancel.textContent = "Close";
    cancel.focus();
  });
  dialog.addEventListener("close", () => {
    dialog.remove();
    remember({ act: null });
    if (acted) chosen.done();
  });
  document.body.append(dialog);
  dialog.showModal();
  reason.focus();
  tryIt();
}

/** What became of each entry, or would. */
function outcomes(answer) {
  if (answer.entries.length === 0)
    return element("p", { class: "soft" }, "There is none any more.");
  return element(
    "ul",
    { class: "outcomes", tabindex: "0", "aria-label": "What becomes of each entry" },
    answer.entries.map((one) => {
      const [word, colour, sign] = OUTCOMES[one.outcome] ?? [one.outcome, "", "question"];
      return element(
        "li",
        {},
        badge(word, colour, sign),
        element("span", { class: "mono" }, one.entry_id),
        one.new_id &&
          element("span", {}, "is now ", element("span", { class: "mono" }, one.new_id)),
        one.letter && element("span", { class: "error" }, one.letter.error),
      );
    }),
  );
}
