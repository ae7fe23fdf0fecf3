// The page of a code: it posts the scan once somebody looks at it, or presses the button.

import { lookedAt, mayBePerson } from "./audience.js";
import { takeReports } from "./report.js";
import { showResult } from "./result.js";
import { postJson, retryAfterS } from "./server.js";
import { renew, scanIdOf } from "./visit.js";
import { filled, many, words } from "./words.js";

const BUTTON_AFTER_MS = 3000; // who looks in a way that we do not see is not left to wait
const OFFLINE_RETRY_S = 10;
const RETRIES = 8; // by itself; the button always does
const main = document.getElementById("main");
const token = tokenOf(location.pathname);
let underWay = false;
let retries = 0;
let retry;

function tokenOf(path) {
  const last = path.split("/").pop();
  try {
    return decodeURIComponent(last);
  } catch {
    return last; // no token of ours; the server says so
  }
}

/** Post the scan and show what comes of it. `byHand`: somebody pressed the button. */
async function check(byHand) {
  if (underWay || main.dataset.state === "result") return;
  underWay = true;
  clearTimeout(retry);
  if (byHand || main.dataset.state !== "problem") {
    main.dataset.state = "checking";
    announce(words.told.checking);
  }
  const reply = await ask(document.querySelector("[name=scan_id]").value);
  underWay = false;
  if (reply.answer) {
    announce(showResult(main, reply.answer));
    if (byHand) document.getElementById("verdict-title").focus();
  } else {
    showProblem(reply, byHand);
  }
}

/** The answer to this visit's scan, or the problem with it. */
async function ask(fresh) {
  const scanId = scanIdOf(token, fresh);
  try {
    let reply = await postScan(scanId);
    let body = await reply.json();
    if (body.code === "scan_time_out_of_range" || body.code === "scan_id_used") {
      reply = await postScan(undefined); // a page that lay open for a week
      body = await reply.json();
      if (reply.ok) renew(token, body.scan_id);
    }
    if (reply.ok) return { answer: body };
    const waitS = retryAfterS(reply);
    if (reply.status === 429) return { problem: "limited", waitS };
    return { problem: reply.status < 500 ? "damaged" : "unavailable", waitS };
  } catch (error) {
    const offline = error instanceof TypeError; // fetch's own: nothing was answered
    return { problem: offline ? "offline" : "unavailable", waitS: OFFLINE_RETRY_S };
  }
}

function postScan(scanId) {
  const size = `${screen.width}x${screen.height}`;
  const { timeZone } = Intl.DateTimeFormat().resolvedOptions();
  const device = { screen: size, timezone: timeZone };
  return postJson("/v1/scans", { token, scan_id: scanId, device });
}

function showProblem({ problem, waitS }, byHand) {
  const { title, text } = words.told.problems[problem];
  const said = filled(text, { wait: many(words.told.seconds, waitS) });
  const before = document.getElementById("problem-title").textContent;
  document.getElementById("problem-title").textContent = title;
  document.getElementById("problem-text").textContent = said;
  main.dataset.problem = problem;
  if (byHand || main.dataset.state !== "problem" || before !== title) announce(`${title}. ${said}`);
  main.dataset.state = "problem";
  if (byHand) document.getElementById("problem-title").focus();
  retries += 1;
  if (problem !== "damaged" && retries <= RETRIES) {
    retry = setTimeout(() => check(false), waitS * 1000);
  }
}

function announce(text) {
  document.getElementById("announcer").textContent = text;
}

for (const id of ["check", "again"]) {
  document.getElementById(id).addEventListener("submit", (event) => {
    event.preventDefault();
    retries = 0;
    check(true);
  });
}
addEventListener("online", () => {
  if (main.dataset.state === "problem") check(false);
});
takeReports(main, token);
if (mayBePerson(main)) {
  main.dataset.state = "checking";
  const button = () => {
    if (!underWay && main.dataset.state === "checking") main.dataset.state = "start";
  };
  setTimeout(button, BUTTON_AFTER_MS);
  lookedAt().then(() => check(false));
}
