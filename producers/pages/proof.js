// A proof bundle by itself: that its content leads to its root, by the steps of voketag/proofs.py.

import { keccak256, sha256 } from "./hashes.js";

export const FORMAT = "voketag-proof-v1";
const MEMBERS = ["batch_id", "factory_id", "manufactured_at", "product_id", "serial", "sku"];
const HASHES = ["leaf", "batch_root", "root", "tx_hash", "block_hash"];
const LONE_SURROGATE = /[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/;
const PATH_MOST = 256; // hashes; a tree of that depth has more leaves than there are atoms

/** Something does not hold; `key` names the words for it, `values` are what they tell. */
export class Fault extends Error {
  constructor(key, values = {}) {
    super(key);
    this.key = key;
    this.values = values;
  }
}

/** The bundle in a text. Throws Fault for anything else. */
export function readBundle(text) {
  let bundle;
  try {
    bundle = JSON.parse(text);
  } catch {
    throw new Fault("not_json");
  }
  const has = (name, type) => {
    if (typeof bundle?.[name] !== type) throw new Fault("not_a_bundle", { member: name });
  };
  for (const name of ["format", "contract", "anchored_at", ...HASHES]) has(name, "string");
  for (const name of ["chain_id", "block_number"]) {
    if (!Number.isSafeInteger(bundle?.[name])) throw new Fault("not_a_bundle", { member: name });
  }
  has("content", "object");
  const { content, path } = bundle;
  const texts = Array.isArray(path) && path.every((item) => typeof item === "string");
  if (!texts || path.length > PATH_MOST) throw new Fault("not_a_bundle", { member: "path" });
  for (const name of MEMBERS) {
    const missing = name === "manufactured_at" && content?.[name] === null;
    if (!missing && (typeof content?.[name] !== "string" || LONE_SURROGATE.test(content[name]))) {
      throw new Fault("not_a_bundle", { member: `content.${name}` });
    }
  }
  if (bundle.format !== FORMAT) throw new Fault("format", { format: bundle.format });
  return bundle;
}

/**
 * RFC 8785 canonical JSON of a content, in UTF-8: the members are strings and null only, which
 * JSON.stringify writes as the RFC asks; what remains is their order.
 */
export function canonical(content) {
  const members = MEMBERS.map((name) => `${JSON.stringify(name)}:${JSON.stringify(content[name])}`);
  return new TextEncoder().encode(`{${members.join(",")}}`);
}

/** OpenZeppelin's standard-v1 leaf of ["bytes16", "bytes32"]; a bytes16 is padded on its right. */
export function leafOf(content) {
  const digits = content.product_id.replace(/urn:|uuid:|[{}-]/g, "");
  if (!/^[0-9a-fA-F]{32}$/.test(digits)) throw new Fault("not_a_uuid");
  const encoded = new Uint8Array(64);
  encoded.set(bytesOf(digits));
  encoded.set(sha256(canonical(content)), 32);
  return keccak256(keccak256(encoded));
}

/** The leaf of a bundle. Throws Fault where it is not that of the content. */
export function checkLeaf(bundle) {
  const leaf = leafOf(bundle.content);
  if (hexOf(leaf) !== hexOf(hashOf(bundle.leaf, "leaf"))) throw new Fault("leaf");
  return leaf;
}

/** The root that the path leads to, by every node on the way. Throws Fault for another root. */
export function checkPath(bundle, leaf) {
  const nodes = [leaf];
  for (const item of bundle.path) nodes.push(pairHash(nodes.at(-1), hashOf(item, "path")));
  if (hexOf(nodes.at(-1)) !== hexOf(hashOf(bundle.root, "root"))) throw new Fault("path");
  return nodes;
}

/** Throws Fault where the way to the root does not pass through the batch's. */
export function checkBatch(bundle, nodes) {
  const root = hexOf(hashOf(bundle.batch_root, "batch_root"));
  if (!nodes.some((node) => hexOf(node) === root)) throw new Fault("batch");
}

/** The parent of two nodes: Keccak-256 of both, the smaller first. */
function pairHash(one, other) {
  const both = new Uint8Array(64);
  const inOrder = hexOf(one) <= hexOf(other);
  both.set(inOrder ? one : other);
  both.set(inOrder ? other : one, 32);
  return keccak256(both);
}

/** The 32 bytes of 0x hex. Throws Fault naming the member. */
export function hashOf(text, member) {
  if (!/^0x[0-9a-fA-F]{64}$/.test(text)) throw new Fault("not_a_hash", { member });
  return bytesOf(text.slice(2));
}

function bytesOf(digits) {
  return Uint8Array.from(digits.match(/../g), (pair) => parseInt(pair, 16));
}

/** Bytes as 0x hex. */
export function hexOf(bytes) {
  return `0x${Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("")}`;
}
