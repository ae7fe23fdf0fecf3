/* What every page begins with: where one can go, who is signed in, and what this page is. */

import { ask, get, toSignIn } from "./api.js";
import { notice } from "./badges.js";
import { byId, element, replace } from "./dom.js";
import { icon } from "./icons.js";

const PLACES = [
  ["live", "/", "Live", "live"],
  ["dead", "/dead", "Dead letters", "dead"],
  ["batches", "/batches", "Batches", "batch"],
  ["products", "/products", "Products", "product"],
  ["reports", "/reports", "Reports", "report"],
  ["statistics", "/statistics", "Statistics", "statistics"],
  ["factories", "/factories", "Factories", "factory"],
  ["operators", "/operators", "Operators", "people"],
  ["audit", "/audit", "Audit", "audit"],
];
const ROLES = ["viewer", "analyst", "admin"];

/**
 * Who is signed in. @typedef {{name: string, role: "viewer" | "analyst" | "admin", expires_at: string}} Session
 */

/**
 * Make the page's frame and find out who looks at it; whoever is not signed in is sent to do so.
 * `<body data-page="...">` says which place of the navigation this page belongs to.
 * @returns {Promise<Session>}
 */
export async function open() {
  const who = element("div", { class: "who" });
  const side = element("header", { class: "side" }, top(), navigation(), who);
  byId("side").replaceWith(side);
  const session = await signedIn();
  replace(
    who,
    element("div", { class: "who-name", title: session.name }, session.name),
    element(
      "div",
      { class: "bar" },
      element("span", { class: "badge plain" }, session.role),
      element(
        "button",
        { class: "plain end", type: "button", onclick: signOut },
        icon("out"),
        "Sign out",
      ),
    ),
  );
  return session;
}

/**
 * Run a page: its frame first, and what goes wrong is said where it would have stood.
 * @param {(session: Session) => Promise<void>} show
 */
export async function run(show) {
  try {
    await show(await open());
  } catch (error) {
    say(notice("bad", error.message));
  }
}

/** Say something at the top of the page, in place of what was said there before. @param {...any} notices */
export function say(...notices) {
  let place = document.getElementById("said");
  if (place === null) {
    place = element("div", { id: "said", class: "stack" });
    byId("main").querySelector(".head, h1").after(place);
  }
  replace(place, ...notices);
  place.hidden = place.childElementCount === 0;
}

/** Whether somebody may do what needs this role. @param {Session} session @param {string} role */
export function may(session, role) {
  return ROLES.indexOf(session.role) >= ROLES.indexOf(role);
}

/** Name the page after what it shows. @param {string} title */
export function entitle(title) {
  document.title = `${title} – VokeTag`;
  byId("title").textContent = title;
}

async function signedIn() {
  return get("/v1/session");
}

async function signOut() {
  try {
    await ask("DELETE", "/v1/session", undefined, { stay: true });
  } catch (error) {
    if (error.status !== 401)
      return say(notice("bad", `You are still signed in: ${error.message}`));
  }
  toSignIn();
}

function top() {
  const menu = element(
    "button",
    {
      class: "menu",
      type: "button",
      "aria-expanded": "false",
      "aria-controls": "places",
      onclick: (event) => {
        const open = event.currentTarget.closest(".side").classList.toggle("open");
        menu.setAttribute("aria-expanded", String(open));
      },
    },
    icon("menu"),
    "Menu",
  );
  return element(
    "div",
    { class: "side-top" },
    element(
      "a",
      { class: "brand", href: "/" },
      element("img", { src: "/pages/icon.svg", alt: "" }),
      "VokeTag",
    ),
    menu,
  );
}

function navigation() {
  const here = document.body.dataset.page;
  return element(
    "nav",
    { "aria-label": "Places", id: "places" },
    element(
      "ul",
      {},
      PLACES.map(([name, href, label, sign]) =>
        element(
          "li",
          {},
          element("a", { href, "aria-current": name === here ? "page" : null }, icon(sign), label),
        ),
      ),
    ),
  );
}
