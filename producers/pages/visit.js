// One visit is one scan: reload, back and a second tab ask with the same scan id.

const VISIT_MS = 30 * 60 * 1000; // so long a second tab belongs to the visit of the first
const TAB = "voketag.scan."; // in the tab's own storage, for as long as the tab lives
const NEWEST = "voketag.visit"; // in the storage all tabs share: the newest visit alone

/**
 * The scan id of this visit: the one it has already, else `fresh`, which the server minted with the
 * page, so that a phone's wrong clock is in no id.
 */
export function scanIdOf(token, fresh) {
  const known = read(() => sessionStorage.getItem(TAB + token)) ?? fromAnotherTab(token);
  const scanId = known ?? fresh;
  keep(token, scanId, known === null);
  return scanId;
}

/** Begin the visit anew, with an id that the server minted. */
export function renew(token, scanId) {
  keep(token, scanId, true);
}

function fromAnotherTab(token) {
  const visit = read(() => JSON.parse(localStorage.getItem(NEWEST)));
  const age = Date.now() - (visit?.began_ms ?? 0);
  return visit?.token === token && age >= 0 && age < VISIT_MS ? visit.scan_id : null;
}

function keep(token, scanId, begins) {
  read(() => sessionStorage.setItem(TAB + token, scanId));
  const visit = { token, scan_id: scanId, began_ms: Date.now() };
  if (begins) read(() => localStorage.setItem(NEWEST, JSON.stringify(visit)));
}

/** What is stored; null where there is nothing, or the browser keeps nothing for us. */
function read(ask) {
  try {
    return ask() ?? null;
  } catch {
    return null;
  }
}
