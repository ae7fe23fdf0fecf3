// What a chain says of a root, asked of any JSON-RPC server: the steps of voketag/ops/verify.py.

import { Fault, hashOf, hexOf } from "./proof.js";

const ANCHORED = "0xfde54488b5523b3abf19b99976dd0e2c531fbcd233d0eb682c96c3a18cf6b3c1";
const ANCHORED_AT = "0x9591a610"; // anchoredAt(bytes32)
const TIMEOUT_MS = 10_000;
const WORDS_MOST = 200; // characters of a server's own words that are repeated
const LARGEST = 2n ** 63n - 1n;
const LAST_SECOND = 253_402_300_799n; // of the year 9999

/** The chain could not be asked: nothing is known of what was to be checked. */
export class Unavailable extends Error {}

/** One JSON-RPC server. Throws Unavailable for whatever is its fault. */
export class Chain {
  constructor(url) {
    this.url = url;
  }

  async ask(method, ...params) {
    let reply;
    try {
      const response = await fetch(this.url, {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify({ jsonrpc: "2.0", id: 1, method, params }),
        credentials: "omit",
        redirect: "error", // whatever it leads to is not the server that was named
        referrerPolicy: "no-referrer",
        signal: AbortSignal.timeout(TIMEOUT_MS),
      });
      reply = await response.json();
    } catch (error) {
      throw new Unavailable(`${method}: ${error.message}`);
    }
    if (reply?.jsonrpc !== "2.0" || reply.id !== 1 || reply.error || !("result" in reply)) {
      throw new Unavailable(`${method}: ${String(reply?.error?.message).slice(0, WORDS_MOST)}`);
    }
    return reply.result;
  }

  /** Throws Fault where the server answers for another chain. */
  async checkId(bundle) {
    const found = number(await this.ask("eth_chainId"));
    if (found !== BigInt(bundle.chain_id)) {
      throw new Fault("chain", { found, claimed: bundle.chain_id });
    }
  }

  /** When the registry anchored the root. Throws Fault where it did not, or not then. */
  async checkRegistry(bundle, contract, root) {
    const seconds = await this.#anchoredAt(contract, root);
    if (seconds === 0n) throw new Fault("not_anchored");
    if (seconds > LAST_SECOND) throw new Unavailable("anchoredAt: not a time");
    const time = new Date(Number(seconds) * 1000).toISOString().replace(".000Z", "Z");
    if (time !== bundle.anchored_at) {
      throw new Fault("anchored_then", { found: time, claimed: bundle.anchored_at });
    }
    return time;
  }

  async #anchoredAt(contract, root) {
    const call = { to: contract, data: ANCHORED_AT + hexOf(root).slice(2) };
    try {
      return BigInt(bytes(await this.ask("eth_call", call, "latest"), 32));
    } catch (error) {
      const code = await this.ask("eth_getCode", contract, "latest");
      if (code !== "0x" && code !== "0x0") throw error;
      throw new Fault("no_contract");
    }
  }

  /** Throws Fault where the bundle's transaction is not the one that anchored the root, there. */
  async checkTransaction(bundle, contract, root) {
    const txHash = hexOf(hashOf(bundle.tx_hash, "tx_hash"));
    const blockHash = hexOf(hashOf(bundle.block_hash, "block_hash"));
    const receipt = await this.ask("eth_getTransactionReceipt", txHash);
    if (receipt === null) throw new Fault("no_transaction");
    if (bytes(receipt.transactionHash, 32) !== txHash) {
      throw new Unavailable("eth_getTransactionReceipt: the receipt of another transaction");
    }
    const found = number(receipt.blockNumber);
    if (found !== BigInt(bundle.block_number) || bytes(receipt.blockHash, 32) !== blockHash) {
      throw new Fault("block", { found, claimed: bundle.block_number });
    }
    const anchors = (log) => {
      const topics = log.topics.map((topic) => bytes(topic, 32));
      const [event, anchored] = topics;
      const ours = topics.length === 2 && event === ANCHORED && anchored === hexOf(root);
      return bytes(log.address, 20) === contract && ours;
    };
    if (number(receipt.status) !== 1n || !logsOf(receipt).some(anchors)) throw new Fault("event");
  }
}

/** An address in lower case. Throws Fault for another text. */
export function addressOf(text) {
  if (!/^0x[0-9a-fA-F]{40}$/.test(text)) throw new Fault("not_an_address", { address: text });
  return text.toLowerCase();
}

function logsOf({ logs }) {
  const shaped = Array.isArray(logs) && logs.every((log) => Array.isArray(log?.topics));
  if (!shaped) throw new Unavailable("eth_getTransactionReceipt: not a receipt");
  return logs;
}

/** 0x hex of so many bytes, in lower case. */
function bytes(text, length) {
  if (typeof text !== "string" || !new RegExp(`^0x[0-9a-fA-F]{${length * 2}}$`).test(text)) {
    throw new Unavailable(`something that is not ${length} bytes`);
  }
  return text.toLowerCase();
}

function number(text) {
  const quantity = typeof text === "string" && /^0x[0-9a-fA-F]{1,64}$/.test(text);
  if (!quantity || BigInt(text) > LARGEST) throw new Unavailable("something that is no number");
  return BigInt(text);
}
