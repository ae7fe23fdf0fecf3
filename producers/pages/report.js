// The report form, sent without leaving the page. Without scripts the form posts itself.

import { postJson, retryAfterS } from "./server.js";
import { filled, many, words } from "./words.js";

const EMAIL = /^[^@\s]+@[^@\s]+$/;

/** Take the report form of the page over. */
export function takeReports(main, token) {
  const form = document.getElementById("report-form");
  const send = document.getElementById("report-send");
  form.noValidate = true; // the browser's own words are in its own language
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (send.disabled) return;
    mark(form, null, "");
    const wrong = fieldAtFault(form);
    if (wrong) return mark(form, wrong, words.told.report.faults[wrong]);
    send.disabled = true;
    send.textContent = words.told.report.sending;
    const fault = await sendReport(form, token);
    send.disabled = false;
    send.textContent = words.page.send;
    if (fault) return mark(form, fault.field, fault.text);
    main.dataset.reported = "yes";
    document.getElementById("thanks-title").focus();
  });
}

function fieldAtFault({ elements }) {
  if (!elements.reason.value) return "reason";
  const email = elements.email.value.trim();
  return email && !EMAIL.test(email) ? "email" : null;
}

/** Null once the report is stored, else what is wrong, in words. */
async function sendReport({ elements }, token) {
  const faults = words.told.report.faults;
  const report = { token, reason: elements.reason.value };
  for (const name of ["description", "email"]) {
    const text = elements[name].value.trim();
    if (text) report[name] = text;
  }
  let reply;
  try {
    reply = await postJson("/v1/reports", report);
  } catch {
    return { field: null, text: faults.offline };
  }
  if (reply.ok) return null;
  const values = { wait: many(words.told.seconds, retryAfterS(reply)) };
  if (reply.status === 404) return { field: null, text: faults.unknown };
  if ([413, 422].includes(reply.status)) {
    return { field: "description", text: faults.description };
  }
  const kind = reply.status === 429 ? faults.limited : faults.unavailable;
  return { field: null, text: filled(kind, values) };
}

/** Say what is wrong, and lead to the field that it is about. */
function mark(form, field, text) {
  for (const one of form.querySelectorAll("[aria-invalid]")) one.removeAttribute("aria-invalid");
  document.getElementById("report-fault").textContent = text;
  if (!field) return;
  form.elements[field].setAttribute("aria-invalid", "true");
  form.elements[field].focus();
}
