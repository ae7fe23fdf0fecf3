// Whether somebody looks: link previews, crawlers and prerendering open pages too.
// Why these signs and no others stands in docs/decisions/0029.

const LOOKED_AT_MS = 700; // painted, visible and focused for so long without a break
const BREAK_MS = 400; // between two frames: this page was not shown meanwhile
const FRAMES = 8;

/** Whether the browser may be a person's: not driven, and with something to point by. */
export function mayBePerson(page) {
  const pointless = matchMedia("(any-pointer: none)").matches;
  return page.dataset.automatic === "yes" && !navigator.webdriver && !pointless && top === window;
}

/** Resolves once somebody looks at the page, or does something in it; it may never. */
export async function lookedAt() {
  await activated();
  return new Promise((resolve) => {
    let since = null;
    let last = 0;
    let frames = 0;
    const frame = (now) => {
      const shown = document.visibilityState === "visible" && document.hasFocus();
      if (!shown || since === null || now - last > BREAK_MS) [since, frames] = [now, 0];
      [last, frames] = [now, frames + 1];
      if (shown && now - since >= LOOKED_AT_MS && frames >= FRAMES) resolve();
      else requestAnimationFrame(frame);
    };
    requestAnimationFrame(frame);
    const acted = (event) => {
      const inForm = event.target.closest?.("form"); // its own handler knows who pressed it
      if (event.isTrusted && !inForm) resolve();
    };
    for (const name of ["pointerdown", "keydown", "wheel"]) {
      addEventListener(name, acted, { passive: true });
    }
  });
}

/** A prerendered page becomes a visit when it is shown; most never are. */
function activated() {
  if (!document.prerendering) return Promise.resolve();
  return new Promise((resolve) => {
    document.addEventListener("prerenderingchange", resolve, { once: true });
  });
}
