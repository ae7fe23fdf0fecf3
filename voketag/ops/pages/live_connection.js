/* The connection over which everything comes. One that is lost is said to be, and made again. */

import { get } from "./api.js";
import { badge } from "./badges.js";
import { byId, replace } from "./dom.js";

const AGAIN_MS = 2000;
// The server says something every second. What is older than this is not shown as if it were now.
const SILENT_MS = 4000;

/**
 * Follow GET /v1/live.
 * @param {{history: (told: any) => void, beat: (told: any) => void, state: (told: any) => void,
 *   lost: (at: Date | null) => void}} listeners
 *   `lost` hears when news stopped to come, and null when it comes again
 * @returns {{open: (filter: Record<string, string>) => void}} opens it, or opens it anew
 */
export function follow(listeners) {
  let source = null;
  let again = 0;
  let filter = {};
  let heard = new Date();
  let isLost = false;

  function open(wanted = filter) {
    filter = wanted;
    clearTimeout(again);
    source?.close();
    const query = new URLSearchParams(Object.entries(filter).filter(([, value]) => value));
    source = new EventSource(`/v1/live?${query}`);
    source.addEventListener("history", (event) => listeners.history(JSON.parse(event.data)));
    source.addEventListener("state", (event) => listeners.state(JSON.parse(event.data)));
    source.addEventListener("beat", (event) => {
      heard = new Date();
      if (isLost) lose(false);
      else if (!byId("connection").childElementCount) tell(false);
      listeners.beat(JSON.parse(event.data));
    });
    source.addEventListener("error", ({ target }) => {
      // It connects again by itself, unless it was answered with an error.
      if (target === source && source.readyState === EventSource.CLOSED) refused();
    });
  }

  async function refused() {
    try {
      await get("/v1/session"); // goes to the sign-in where that is what is missing
    } catch {
      // no answer either: it is tried again
    }
    clearTimeout(again);
    again = setTimeout(open, AGAIN_MS);
  }

  function lose(now) {
    isLost = now;
    tell(now);
    listeners.lost(now ? heard : null);
  }

  setInterval(() => {
    if (!isLost && Date.now() - heard.getTime() > SILENT_MS) lose(true);
  }, 500);
  return { open };
}

function tell(isLost) {
  replace(
    byId("connection"),
    isLost
      ? badge("Connection lost, trying again", "bad", "warning")
      : badge("Live", "good", "live"),
  );
}
