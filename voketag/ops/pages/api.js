/* Speaks to the API of this server, in the name of who is signed in. */

/** What the server refused (RFC 9457), or that it did not answer: `status` 0. The message is for people. */
export class Problem extends Error {
  /** @param {number} status @param {string} code @param {string} detail */
  constructor(status, code, detail) {
    super(detail);
    this.status = status;
    this.code = code;
  }
}

/**
 * The answer to a request, null where it has no body. Raises Problem. Whoever is not signed in is
 * sent to sign in and comes back to where they were.
 * @param {string} method @param {string} path
 * @param {any} [body] what is sent as JSON
 * @param {{signal?: AbortSignal, stay?: boolean}} [options] `stay`: a 401 is a Problem like others
 * @returns {Promise<any>}
 */
export async function ask(method, path, body, { signal, stay = false } = {}) {
  /** @type {Record<string, string>} */
  const headers = { Accept: "application/json, application/problem+json" };
  // Another site can make a browser send the cookie, but not this: see voketag/ops on sessions.
  if (method !== "GET") headers["X-VokeTag-Session"] = "1";
  if (body !== undefined) headers["Content-Type"] = "application/json";
  let answer;
  try {
    answer = await fetch(path, {
      method,
      headers,
      signal,
      cache: "no-store",
      body: body === undefined ? undefined : JSON.stringify(body),
    });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new Problem(0, "no_answer", "The server does not answer.");
  }
  if (answer.status === 401 && !stay) {
    toSignIn();
    return new Promise(() => {}); // this page is being left
  }
  if (!answer.ok) throw await problem(answer);
  return answer.status === 204 ? null : answer.json();
}

/** @param {string} path @param {{signal?: AbortSignal, stay?: boolean}} [options] */
export function get(path, options) {
  return ask("GET", path, undefined, options);
}

/** @param {string} path @param {any} [body] */
export function post(path, body) {
  return ask("POST", path, body);
}

/** @param {string} path @param {any} body */
export function patch(path, body) {
  return ask("PATCH", path, body);
}

/** @param {string} path */
export function remove(path) {
  return ask("DELETE", path);
}

/** Leave for the sign-in, which comes back to this URL. */
export function toSignIn() {
  const here = location.pathname + location.search + location.hash;
  location.replace(`/sign-in?next=${encodeURIComponent(here)}`);
}

async function problem(answer) {
  let told = {};
  try {
    told = await answer.json();
  } catch {
    // not from us: a proxy's page, say
  }
  return new Problem(
    answer.status,
    told.code ?? "",
    told.detail ?? `The server answers ${answer.status}.`,
  );
}
