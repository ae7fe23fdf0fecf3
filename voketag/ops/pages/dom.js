/* Elements are made here and nowhere from text: whatever a name holds, it is shown as text. */

/**
 * An element with its attributes and children. A child that is not a node is text; null and false
 * are left out. An attribute that is a function is a listener ("onclick"); true stands for an empty
 * one, null and false for none.
 * @param {string} name
 * @param {Record<string, any>} [attributes]
 * @param {...any} children
 * @returns {any}
 */
export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (typeof value === "function") made.addEventListener(key.slice(2), value);
    else if (value === true) made.setAttribute(key, "");
    else if (value !== null && value !== undefined && value !== false)
      made.setAttribute(key, String(value));
  }
  made.append(...shown(children));
  return made;
}

/**
 * Put these in place of all that `parent` holds. Whoever is at a link in it stays at that link.
 * @param {Element} parent @param {...any} children
 */
export function replace(parent, ...children) {
  const at = parent.contains(document.activeElement) ? document.activeElement : null;
  parent.replaceChildren(...shown(children));
  if (at === null || at.isConnected || !at.hasAttribute("href")) return;
  const same = [...parent.querySelectorAll("a")].find((link) => link.href === at.href);
  same?.focus({ preventScroll: true });
}

/** The element of the page with this id. @param {string} id @returns {any} */
export function byId(id) {
  const found = document.getElementById(id);
  if (found === null) throw new Error(`this page has no #${id}`);
  return found;
}

function shown(children) {
  return children
    .flat(Infinity)
    .filter((child) => child !== null && child !== undefined && child !== false)
    .map((child) => (child instanceof Node ? child : String(child)));
}
