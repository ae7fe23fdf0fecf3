/* Controls that stand for parameters of the URL: what is chosen is in it, and is shown at once. */

import { asked, remember } from "./address.js";
import { byId, element, replace } from "./dom.js";

/**
 * A choice among words.
 * @param {string} id @param {[string, string][]} options value and word
 * @param {string} [chosen] @param {Record<string, any>} [attributes]
 */
export function choice(id, options, chosen = "", attributes = {}) {
  return element(
    "select",
    { id, ...attributes },
    options.map(([value, word]) => element("option", { value, selected: value === chosen }, word)),
  );
}

/**
 * A bar of labelled controls. A control's name is its parameter; `show` is called when one changes,
 * and by the Clear button, which is there while anything is chosen.
 * @param {{label: string, control: any, usual?: string}[]} controls elements with a name; `usual` is
 *   what stands there as long as the URL says nothing
 * @param {() => void} show
 */
export function filters(controls, show) {
  const clear = element("button", { class: "plain", type: "button", onclick: cleared }, "Clear");
  const inputs = controls.map(({ control }) => control);
  const again = () => {
    clear.hidden = inputs.every((input) => asked(input.name) === "");
    show();
  };
  function cleared() {
    for (const { control, usual = "" } of controls) control.value = usual;
    remember(Object.fromEntries([...inputs.map((input) => [input.name, null]), ["cursor", null]]));
    inputs[0].focus();
    again();
  }
  for (const { control: input, usual = "" } of controls) {
    input.value = asked(input.name) || usual;
    input.addEventListener("change", () => {
      remember({ [input.name]: input.value.trim(), cursor: null });
      again();
    });
  }
  clear.hidden = inputs.every((input) => asked(input.name) === "");
  return element(
    "form",
    { class: "filters", role: "search", onsubmit: (event) => event.preventDefault() },
    controls.map(({ label, control }) =>
      element("div", { class: "field" }, element("label", { for: control.id }, label), control),
    ),
    clear,
  );
}

/**
 * Shows what was asked for last: an answer that comes after a later question is not shown.
 * @param {string} id of the element whose content it is @param {(signal: AbortSignal) => Promise<any>} make
 * @param {(error: Error) => any} failed what is shown in place of what could not be made
 */
export function latest(id, make, failed) {
  let asking = new AbortController();
  return async () => {
    asking.abort();
    asking = new AbortController();
    const { signal } = asking;
    const place = byId(id);
    place.setAttribute("aria-busy", "true");
    let content;
    try {
      content = await make(signal);
    } catch (error) {
      if (signal.aborted) return;
      content = failed(error);
    }
    if (signal.aborted) return;
    replace(place, content);
    place.removeAttribute("aria-busy");
  };
}

/** The query of a request: the parameters that say something. @param {Record<string, string>} parameters */
export function query(parameters) {
  const said = Object.entries(parameters).filter(([, value]) => value !== "");
  return new URLSearchParams(said).toString();
}
