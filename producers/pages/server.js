// What is asked of our own server.

const RETRY_AFTER_S = 10; // where an answer does not say

/** POST JSON. Rejects where nothing is answered. */
export function postJson(path, body) {
  const headers = { "Content-Type": "application/json" };
  return fetch(path, { method: "POST", headers, body: JSON.stringify(body) });
}

/** How long a refused caller is to wait, in seconds. */
export function retryAfterS(reply) {
  return Number(reply.headers.get("Retry-After")) || RETRY_AFTER_S;
}
