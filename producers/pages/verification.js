// Every step of a verification in its order, each passed, failed, or not checked, and why.

import { Chain, Unavailable, addressOf } from "./chain.js";
import { Fault, checkBatch, checkLeaf, checkPath, hexOf, readBundle } from "./proof.js";

export const STEPS = [
  "bundle", "leaf", "path", "batch", "chain", "address", "registry", "transaction",
];

/**
 * What is found of a bundle's text, one step after another: `{ step, state, key, values }`.
 * `rpcUrl` may be empty: then no chain is asked. `registry` is the contract's address from a source
 * that the reader trusts; where it is empty the bundle's own claim is taken, and that is said.
 */
export async function* verify(text, rpcUrl, registry) {
  let at = 0;
  let key = "no_server";
  try {
    for await (const found of steps(text, rpcUrl, registry)) {
      yield { step: STEPS[at], ...found };
      at += 1;
    }
  } catch (error) {
    const known = error instanceof Fault;
    if (!known && !(error instanceof Unavailable)) throw error;
    const said = known ? error : { key: "unavailable", values: { words: error.message } };
    const state = known ? "failed" : "unchecked";
    yield { step: STEPS[at], state, key: said.key, values: said.values };
    at += 1;
    key = "earlier";
  }
  for (; at < STEPS.length; at += 1) yield { step: STEPS[at], state: "unchecked", key, values: {} };
}

async function* steps(text, rpcUrl, registry) {
  const bundle = readBundle(text);
  yield passed("bundle", { format: bundle.format });
  const leaf = checkLeaf(bundle);
  const { product_id: product, serial, sku } = bundle.content;
  yield passed("leaf", { product, serial, sku, leaf: hexOf(leaf) });
  const nodes = checkPath(bundle, leaf);
  const root = nodes.at(-1);
  yield passed("path", { count: bundle.path.length, root: hexOf(root) });
  checkBatch(bundle, nodes);
  yield passed("batch", { root: bundle.batch_root });
  if (rpcUrl) yield* stepsOnChain(bundle, root, new Chain(rpcUrl), registry);
}

async function* stepsOnChain(bundle, root, chain, registry) {
  await chain.checkId(bundle);
  yield passed("chain", { chain: bundle.chain_id });
  const contract = addressOf(registry || bundle.contract);
  if (registry) yield passed("address", { contract });
  else yield { state: "unchecked", key: "claimed", values: { contract } };
  const time = await chain.checkRegistry(bundle, contract, root);
  yield passed("registry", { time });
  await chain.checkTransaction(bundle, contract, root);
  yield passed("transaction", { block: bundle.block_number });
}

function passed(key, values) {
  return { state: "passed", key, values };
}
