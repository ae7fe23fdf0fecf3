"""Checking a proof bundle: offline, and against a chain. Needs no VokeTag server and no setting."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from voketag import identifiers, proofs
from voketag.errors import Unavailable
from voketag.proofs import Proof, ProofFault

if TYPE_CHECKING:
    from voketag.chain.client import Chain

ADDRESS_BYTES = 20
VERIFIER = Path(__file__).resolve().parents[2] / "contracts" / "ProofVerifier.json"
VERIFY_SELECTOR = bytes.fromhex("5a9a49c7")  # verify(bytes32[],bytes32,bytes32)


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at, and how it was found to be."""

    holds: bool
    text: str


def read(data: bytes) -> Proof:
    """The proof bundle in a file. Raises ProofFault for anything else."""
    try:
        return msgspec.json.decode(data, type=Proof)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ProofFault(f"this is not a proof bundle in JSON: {error}") from error


def address(text: str, name: str) -> bytes:
    """The 20 bytes of a 0x address. Raises ProofFault naming the member `name`."""
    try:
        value = bytes.fromhex(text.removeprefix("0x"))
    except ValueError:
        value = b""
    if not text.startswith("0x") or len(value) != ADDRESS_BYTES:
        raise ProofFault(f"{name} is {text[:80]!r}; an address is 0x and 40 hexadecimal digits")
    return value


def offline(proof: Proof) -> Iterator[Check]:
    """What the bundle alone can show: that its content leads to its root."""
    try:
        root = proofs.check(proof)
    except ProofFault as fault:
        yield Check(False, str(fault))
        return
    content = proof.content
    yield Check(
        True,
        f"content: product {content.product_id}, serial {content.serial}, SKU {content.sku}, "
        "hashes to the leaf",
    )
    yield Check(True, f"path: {len(proof.path)} hashes lead from the leaf to root 0x{root.hex()}")


async def on_chain(proof: Proof, rpc_url: str, contract_text: str | None) -> list[Check]:
    """What the chain says of the root that the content leads to.

    `contract_text` is the registry's address from a source that the reader trusts; without one the
    bundle's own claim is taken.
    """
    from voketag.chain.client import Chain

    try:
        root = proofs.check(proof)
        contract = address(contract_text or proof.contract, "contract")
    except ProofFault as fault:
        return [Check(False, str(fault))]
    chain = Chain(rpc_url)
    try:
        checks = await _chain_id(chain, proof)
        if checks[0].holds:
            checks += await _anchored_at(chain, proof, contract, root)
            checks += await _transaction(chain, proof, contract, root)
    except Unavailable as error:
        return [Check(False, f"the chain could not be asked: {error}")]
    finally:
        await chain.close()
    return checks


async def by_contract(proof: Proof, rpc_url: str) -> list[Check]:
    """What contracts say, run by the chain's own machine: one that follows the path as
    OpenZeppelin's MerkleProof does, from a leaf made of the content; and the registry.
    """
    from voketag.chain.client import Chain

    try:
        root, leaf = proofs.unhex(proof.root, "root"), proof.content.leaf()
        path = [proofs.unhex(item, "path") for item in proof.path]
        contract = address(proof.contract, "contract")
    except ValueError as fault:
        return [Check(False, str(fault))]
    code = msgspec.json.decode(VERIFIER.read_bytes())["runtime"]
    chain = Chain(rpc_url)
    try:
        answer = await chain.run_code(bytes.fromhex(code[2:]), verify_call(path, root, leaf))
        if int.from_bytes(answer, "big") != 1:
            return [Check(False, "verify(path, root, leaf): the path does not lead to the root")]
        leads = Check(True, "verify(path, root, leaf) is true")
        return [leads, *await _anchored_at(chain, proof, contract, root)]
    except Unavailable as error:
        return [Check(False, f"the chain could not be asked: {error}")]
    finally:
        await chain.close()


def verify_call(path: list[bytes], root: bytes, leaf: bytes) -> bytes:
    """The call data of `verify(bytes32[], bytes32, bytes32)`, ABI encoded."""
    head = (96).to_bytes(32, "big") + root + leaf  # 96: where the array begins
    return VERIFY_SELECTOR + head + len(path).to_bytes(32, "big") + b"".join(path)


async def _chain_id(chain: Chain, proof: Proof) -> list[Check]:
    chain_id = await chain.chain_id()
    if chain_id != proof.chain_id:
        return [Check(False, f"chain: this is chain {chain_id}; the proof is of {proof.chain_id}")]
    return [Check(True, f"chain: the server answers for chain {chain_id}")]


async def _anchored_at(chain: Chain, proof: Proof, contract: bytes, root: bytes) -> list[Check]:
    where = f"contract 0x{contract.hex()}"
    try:
        at_s = await chain.anchored_at(contract, root)
    except Unavailable:
        if await chain.has_code(contract):
            raise
        return [Check(False, f"{where}: no contract stands at this address")]
    if at_s == 0:
        return [Check(False, f"{where}: anchoredAt(root) is 0: it never anchored this root")]
    at = identifiers.rfc3339(datetime.fromtimestamp(at_s, UTC))
    if at != proof.anchored_at:
        claim = proof.anchored_at
        return [Check(False, f"{where}: anchored at {at}; the proof says {claim!r}")]
    return [Check(True, f"{where}: anchoredAt(root) is {at_s} ({at})")]


async def _transaction(chain: Chain, proof: Proof, contract: bytes, root: bytes) -> list[Check]:
    """That the transaction named in the proof is the one that anchored the root, in that block."""
    try:
        tx_hash = proofs.unhex(proof.tx_hash, "tx_hash")
        block_hash = proofs.unhex(proof.block_hash, "block_hash")
    except ProofFault as fault:
        return [Check(False, str(fault))]
    where = f"transaction {proof.tx_hash}"
    receipt = await chain.receipt(tx_hash)
    if receipt is None:
        return [Check(False, f"{where}: the chain does not hold it")]
    if (receipt.block_number, receipt.block_hash) != (proof.block_number, block_hash):
        found = f"block {receipt.block_number} (0x{receipt.block_hash.hex()})"
        claim = f"block {proof.block_number} ({proof.block_hash})"
        return [Check(False, f"{where}: it is in {found}; the proof says {claim}")]
    if not receipt.succeeded or (contract, root) not in receipt.anchored:
        return [Check(False, f"{where}: it did not make this contract emit Anchored(root)")]
    return [Check(True, f"{where}: emitted Anchored(root) in block {receipt.block_number}")]
