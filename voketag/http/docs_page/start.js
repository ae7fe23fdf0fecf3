// Shows the OpenAPI document of the process that serves this page.

const DARK = matchMedia("(prefers-color-scheme: dark)");

/** Swagger UI is dark where the root element has this class. */
function followColourScheme() {
  document.documentElement.classList.toggle("dark-mode", DARK.matches);
}

DARK.addEventListener("change", followColourScheme);
followColourScheme();

const response = await fetch("/openapi.json");
const spec = await response.json();
document.title = `${spec.info.title}: API`;
window.SwaggerUIBundle({
  dom_id: "#viewer",
  spec,
  deepLinking: true, // an operation has a URL
  docExpansion: "list",
  defaultModelsExpandDepth: 0,
  displayRequestDuration: true,
  filter: false,
  persistAuthorization: false, // a key is forgotten with the page
  requestSnippetsEnabled: false,
  tryItOutEnabled: true,
  validatorUrl: null, // nobody else is asked
});

/** Names what the viewer leaves without a name for those who do not see it. */
function nameFields() {
  const named = {
    ".body-param__text": "Request body",
    ".examples-select-element": "Example",
    ".response-control-media-type select": "Media type",
  };
  for (const [selector, name] of Object.entries(named)) {
    for (const element of document.querySelectorAll(`${selector}:not([aria-label])`)) {
      element.setAttribute("aria-label", name);
    }
  }
}

new MutationObserver(nameFields).observe(document.body, { childList: true, subtree: true });
nameFields();
