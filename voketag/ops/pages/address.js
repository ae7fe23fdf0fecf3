/* What a page shows stands in its URL, so that it can be linked to. */

/** What the URL says of `name`, "" where it says nothing. @param {string} name */
export function asked(name) {
  return new URLSearchParams(location.search).get(name) ?? "";
}

/**
 * The URL of this page with some parameters changed; one that is empty is left out.
 * @param {Record<string, string | null | undefined>} changes
 */
export function changed(changes) {
  const parameters = new URLSearchParams(location.search);
  for (const [name, value] of Object.entries(changes)) {
    if (value) parameters.set(name, value);
    else parameters.delete(name);
  }
  const text = parameters.toString();
  return location.pathname + (text ? `?${text}` : "");
}

/** Write this into the URL without leaving the page. @param {Record<string, string | null | undefined>} changes */
export function remember(changes) {
  history.replaceState(null, "", changed(changes));
}

/** A path with its parts encoded: path`/v1/dead/${stream}/${id}`. */
export function path(texts, ...parts) {
  return String.raw({ raw: texts }, ...parts.map(encodeURIComponent));
}
