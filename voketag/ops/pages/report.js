/* One report: what was written, of which product, and what is decided about it. */

import { asked, path } from "./address.js";
import { get, patch } from "./api.js";
import { notice, status } from "./badges.js";
import { field } from "./dialogs.js";
import { byId, element, replace } from "./dom.js";
import { query } from "./filters.js";
import { moment, none, number, text } from "./format.js";
import { card, crumbs, facts, idOfPage } from "./layout.js";
import { entitle, run, say } from "./page.js";
import { scoreShown, verdictNow } from "./reasons.js";
import { MEANINGS, reasonWord } from "./report_words.js";
import { closed } from "./roles.js";

const LOOKED_THROUGH = 1000;
const WORDS = {
  new: "New",
  in_review: "In review",
  confirmed: "Confirmed",
  dismissed: "Dismissed",
};

run(async (session) => {
  const id = idOfPage();
  const queue = asked("status") || "new";
  replace(byId("crumbs"), crumbs(["Reports", `/reports?${query({ status: queue })}`], ["Report"]));
  const refused = closed(session, "analyst", "A report");
  if (refused) return replace(byId("content"), refused);
  const report = await get(path`/v1/reports/${id}`);
  const [product, next] = await Promise.all([productOf(report), nextOf(report, queue)]);
  draw(report, product, next);
});

function draw(report, product, next) {
  entitle(
    `${reasonWord(report.reason)}: ${report.name ?? product?.batch.name ?? "unknown product"}`,
  );
  replace(byId("states"), status(report.status));
  replace(byId("actions"), nextLink(next));
  replace(
    byId("content"),
    element(
      "div",
      { class: "columns wide-first" },
      element("div", { class: "stack" }, told(report), decision(report, product, next)),
      risk(product),
    ),
  );
}

function nextLink(next) {
  if (next === null) return element("span", { class: "soft small" }, "The last one of this list");
  return element("a", { class: "button", href: next }, "Next report");
}

function told(report) {
  return card("What was reported", {
    body: element(
      "div",
      { class: "stack" },
      report.description === null
        ? element("p", { class: "soft" }, "Nothing was written.")
        : element("blockquote", { class: "written" }, report.description),
      facts([
        ["Reason", reasonWord(report.reason)],
        ["Reported", moment(report.created_at)],
        ["E-mail", report.email ?? element("span", { class: "soft" }, "no address was given")],
        ["Changed last", moment(report.updated_at)],
      ]),
    ),
  });
}

function decision(report, product, next) {
  const note = element("textarea", { id: "note", name: "note", maxlength: "4000" });
  note.value = report.note ?? "";
  const save = async (event) => {
    event.preventDefault();
    const onward = event.submitter?.value === "next" && next !== null;
    try {
      const changed = await patch(path`/v1/reports/${report.report_id}`, {
        status: new FormData(form).get("status"),
        note: note.value.trim() || null,
      });
      if (onward) return location.assign(next);
      draw({ ...report, ...changed }, product, next);
      say(notice("good", `Saved as ${WORDS[changed.status].toLowerCase()}.`));
    } catch (error) {
      say(notice("bad", `Nothing was changed: ${error.message}`));
    }
  };
  const form = element(
    "form",
    { class: "stack", onsubmit: save, onkeydown: (event) => onCtrlEnter(event, form) },
    element(
      "fieldset",
      { class: "choices" },
      element("legend", { class: "label" }, "Status"),
      Object.keys(MEANINGS).map((value) => option(value, report.status)),
    ),
    field("Note", note, "For your colleagues. Ctrl+Enter saves and opens the next report."),
    element(
      "div",
      { class: "bar" },
      element(
        "button",
        { type: "submit", class: "main", value: "next", id: "onward" },
        next ? "Save and open the next" : "Save",
      ),
      next && element("button", { type: "submit", value: "stay" }, "Save"),
    ),
  );
  return card("Decision", { body: form });
}

function onCtrlEnter(event, form) {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
    event.preventDefault();
    form.requestSubmit(byId("onward"));
  }
}

function option(value, chosen) {
  const id = `status-${value}`;
  return element(
    "div",
    { class: "option" },
    element("input", {
      type: "radio",
      name: "status",
      id,
      value,
      checked: value === chosen,
      "aria-describedby": `${id}-means`,
    }),
    element(
      "div",
      {},
      element("label", { for: id }, WORDS[value]),
      element("p", { class: "soft small", id: `${id}-means` }, MEANINGS[value]),
    ),
  );
}

function risk(product) {
  if (product === null) {
    return card("The product", {
      body: element(
        "p",
        { class: "soft" },
        "The code that was reported belongs to no product: no score changes with this report.",
      ),
    });
  }
  const href = path`/products/${product.product_id}`;
  return card("The product", {
    body: element(
      "div",
      { class: "stack" },
      facts([
        ["Product", element("a", { href }, product.batch.name)],
        ["SKU", product.batch.sku],
        ["Serial", product.serial],
        [
          "Factory",
          element(
            "a",
            { href: path`/factories/${product.factory.factory_id}` },
            product.factory.name,
          ),
        ],
        [
          "Batch",
          element("a", { href: path`/batches/${product.batch.batch_id}` }, product.batch.name),
        ],
        ["Now", verdictNow(product)],
        ["Scans", text(product.history && number(product.history.scans))],
        ["Reports", number((product.reports ?? []).length)],
      ]),
      product.score && scoreShown(product.score),
    ),
  });
}

async function productOf(report) {
  if (none(report.product_id)) return null;
  try {
    return await get(path`/v1/products/${report.product_id}`);
  } catch (error) {
    if (error.status === 404) return null;
    throw error;
  }
}

/* The report that follows in the list this one was opened from: ids go down with time. */
async function nextOf(report, queue) {
  const { reports } = await get(
    `/v1/reports?${query({ status: queue === "all" ? "" : queue, limit: String(LOOKED_THROUGH) })}`,
  );
  const others = reports.filter((other) => other.report_id !== report.report_id);
  const next = others.find((other) => other.report_id < report.report_id) ?? others[0];
  return next ? `${path`/reports/${next.report_id}`}?${query({ status: queue })}` : null;
}
