/* Exchanges a key for a session. The key is sent once and kept nowhere. */

import { asked } from "./address.js";
import { ask } from "./api.js";
import { notice } from "./badges.js";
import { byId, replace } from "./dom.js";

/** Where to go afterwards: a place on this server, whatever the URL says. */
function next() {
  const text = asked("next");
  if (!URL.canParse(text, location.origin)) return "/";
  const wanted = new URL(text, location.origin);
  const ours = wanted.origin === location.origin && wanted.pathname !== location.pathname;
  return ours ? wanted.href : "/"; // whole: a path may begin with two slashes
}

async function enter(event) {
  event.preventDefault();
  const key = byId("key");
  byId("enter").disabled = true;
  replace(byId("said"));
  try {
    await ask("POST", "/v1/session", { key: key.value.trim() }, { stay: true });
    key.value = "";
    location.replace(next());
  } catch (error) {
    replace(byId("said"), notice("bad", error.message));
    key.setAttribute("aria-invalid", "true");
    byId("enter").disabled = false;
    key.select();
  }
}

byId("form").addEventListener("submit", enter);
