"""The page a phone's camera opens. It says the same for every token and asks nothing of a server:
link previews and crawlers open it too, and a GET never counts as a scan. The scan is posted by the
page's script, once it is really shown to somebody.
"""

from __future__ import annotations

import base64
import hashlib

from aiohttp import web

_SCRIPT = """
"use strict";
const token = location.pathname.split("/").pop();
const words = {
  authentic: "Genuine", suspicious: "Suspicious", high_risk: "High risk",
  recalled: "Recalled by the maker", not_recognised: "Not recognised",
};
const show = (id, text) => { document.getElementById(id).textContent = text; };
async function scan() {
  show("verdict", "Checking…");
  try {
    const reply = await fetch("/v1/scans", {
      method: "POST", headers: {"Content-Type": "application/json"},
      body: JSON.stringify({token, device: {
        screen: screen.width + "x" + screen.height,
        timezone: Intl.DateTimeFormat().resolvedOptions().timeZone}}),
    });
    const body = await reply.json();
    if (!reply.ok) { show("verdict", "Not checked"); show("detail", body.detail); return; }
    document.body.dataset.verdict = body.verdict;
    show("verdict", words[body.verdict]);
    show("detail", body.product ? body.product.name + " · serial " + body.product.serial
      : "No maker has registered this code with us.");
    const reasons = body.risk ? body.risk.reasons.map((reason) => reason.detail) : [];
    document.getElementById("reasons").replaceChildren(...reasons.map((text) => {
      const item = document.createElement("li"); item.textContent = text; return item; }));
    const scans = body.history ? body.history.scans : 0;
    const times = scans === 1 ? "once" : scans + " times";
    show("history", scans ? "Scanned " + times + " so far, this scan included, first on "
      + body.history.first_scanned_at.slice(0, 10) + "." : "");
  } catch { show("verdict", "Not checked"); show("detail", "No connection; try again."); }
}
const visible = () => { if (document.visibilityState === "visible") {
  document.removeEventListener("visibilitychange", visible); scan(); } };
document.addEventListener("visibilitychange", visible);
visible();
"""
_STYLE = """
:root{color-scheme:light dark;font:1.1rem/1.5 system-ui,sans-serif}
body{margin:0;min-height:100vh;display:grid;place-content:center;padding:1.5rem}
main{max-width:28rem}h1{font-size:2rem;margin:.2em 0;border-left:.4rem solid gray;
padding-left:.8rem}
[data-verdict=authentic] h1{border-color:#1a7f37}[data-verdict=suspicious] h1{border-color:#bf8700}
[data-verdict=high_risk] h1,[data-verdict=recalled] h1{border-color:#cf222e}
"""
_PAGE = f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Check a product</title>
<meta name="viewport" content="width=device-width,initial-scale=1">
<meta name="robots" content="noindex"><meta name="referrer" content="no-referrer">
<style>{_STYLE}</style></head>
<body><main aria-live="polite"><h1 id="verdict">Check a product</h1><p id="detail"></p>
<ul id="reasons"></ul><p id="history"></p>
<noscript><p>This page checks the code with a script. Scripts are off, so nothing was checked and
nothing was counted.</p></noscript></main><script>{_SCRIPT}</script></body></html>
""".encode()


def _source(text: str) -> str:
    return "'sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() + "'"


_HEADERS = {
    "Cache-Control": "public, max-age=300",
    "Content-Security-Policy": (
        f"default-src 'none'; script-src {_source(_SCRIPT)}; style-src {_source(_STYLE)}; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
}


async def page(_: web.Request) -> web.Response:
    """The page, the same for every token."""
    return web.Response(body=_PAGE, content_type="text/html", charset="utf-8", headers=_HEADERS)
