// "Verify it yourself": takes a bundle, asks the chain that the visitor names, shows each step.

import { verify } from "./verification.js";
import { filled, words } from "./words.js";

const BUNDLE_MOST_BYTES = 1_000_000;
const origin = words.origin;
const form = document.getElementById("verify");
const bundle = document.getElementById("bundle");
const list = document.getElementById("steps");
let runs = 0;

async function run() {
  const mine = ++runs;
  const found = [];
  list.replaceChildren();
  say(origin.working, "working");
  const rpcUrl = document.getElementById("rpc").value.trim();
  const registry = document.getElementById("registry").value.trim();
  for await (const one of verify(bundle.value, rpcUrl, registry)) {
    if (mine !== runs) return; // another run has begun
    found.push(one.state);
    list.append(item(one));
  }
  const outcome = found.includes("failed")
    ? "failed"
    : found.includes("unchecked") ? "unchecked" : "passed";
  say(origin.outcomes[outcome], outcome);
  document.getElementById("outcome").focus();
}

function item({ step, state, key, values }) {
  const made = document.createElement("li");
  made.dataset.state = state;
  made.dataset.step = step;
  const title = document.createElement("strong");
  title.textContent = `${origin.steps[step]}: ${origin.states[state]}`;
  const detail = document.createElement("p");
  detail.className = "detail";
  detail.textContent = filled(origin[state][key], values);
  made.append(title, detail);
  return made;
}

function say(text, outcome) {
  document.getElementById("outcome").textContent = text;
  document.getElementById("found").dataset.outcome = outcome;
}

async function take(file) {
  if (!file) return;
  bundle.value = file.size > BUNDLE_MOST_BYTES ? "" : await file.text();
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  run();
});
document.getElementById("file").addEventListener("change", ({ target }) => take(target.files[0]));
addEventListener("dragover", (event) => event.preventDefault());
addEventListener("drop", (event) => {
  if (!event.dataTransfer.files.length) return; // text goes where it is dropped
  event.preventDefault();
  take(event.dataTransfer.files[0]);
});
if (location.protocol === "file:") document.body.dataset.saved = "yes";
