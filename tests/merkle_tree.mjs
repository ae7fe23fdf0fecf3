// Reads [[leaf, ...], ...] as JSON, leaves as 0x hex of 32 bytes; writes for each list the root and
// the proof of every leaf, in the order given, as @openzeppelin/merkle-tree makes them.
import { readFileSync } from "node:fs";
import { SimpleMerkleTree } from "@openzeppelin/merkle-tree";

const trees = JSON.parse(readFileSync(0, "utf8")).map((leaves) => {
  const tree = SimpleMerkleTree.of(leaves);
  return { root: tree.root, proofs: leaves.map((leaf) => tree.getProof(leaf)) };
});
process.stdout.write(JSON.stringify(trees));
