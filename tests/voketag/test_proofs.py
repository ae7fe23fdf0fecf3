"""Proofs: canonical JSON, leaves, and a bundle in which every change is found."""

from __future__ import annotations

import hashlib
from typing import Any
from uuid import UUID

import msgspec
import pytest
import rfc8785
from eth_abi.abi import encode
from hypothesis import given
from hypothesis import strategies as st

from voketag import identifiers, merkle, proofs
from voketag.proofs import Content, Proof, ProofFault

any_text = st.text(st.characters(exclude_categories=["Cs"]))
contents = st.builds(
    Content,
    batch_id=any_text,
    factory_id=any_text,
    manufactured_at=st.none() | any_text,
    product_id=st.uuids().map(str),
    serial=any_text,
    sku=any_text,
)


def hexadecimal(value: bytes) -> str:
    return "0x" + value.hex()


def make_proof() -> Proof:
    """A bundle of a product among others, with a batch root among others."""
    batch_id = identifiers.new_id()
    made = [
        Content(str(batch_id), "f", None, str(identifiers.product_id(batch_id, n)), f"S{n}", "SHOE")
        for n in range(5)
    ]
    tree = merkle.build(content.leaf() for content in made)
    batch_root = merkle.node(tree, 0)
    place = 2 * len(made) - 2 - sorted(c.leaf() for c in made).index(made[0].leaf())
    above = merkle.build([batch_root, bytes(32), b"\x01" * 32])
    batch_place = 4 - sorted([batch_root, bytes(32), b"\x01" * 32]).index(batch_root)
    path = merkle.path(tree, place) + merkle.path(above, batch_place)
    return Proof(
        format=proofs.FORMAT,
        content=made[0],
        leaf=hexadecimal(made[0].leaf()),
        path=[hexadecimal(node) for node in path],
        batch_root=hexadecimal(batch_root),
        root=hexadecimal(merkle.node(above, 0)),
        chain_id=31337,
        contract="0x" + "11" * 20,
        tx_hash="0x" + "22" * 32,
        block_number=1,
        block_hash="0x" + "33" * 32,
        anchored_at="2026-01-01T00:00:00Z",
    )


@given(contents)
def test_the_canonical_json_is_rfc8785(content: Content) -> None:
    assert content.canonical() == rfc8785.dumps(msgspec.to_builtins(content))


@given(contents)
def test_a_leaf_is_openzeppelins(content: Content) -> None:
    """Encoded by eth-abi, which is not ours."""
    digest = hashlib.sha256(content.canonical()).digest()
    encoded = encode(["bytes16", "bytes32"], [UUID(content.product_id).bytes, digest])
    assert content.leaf() == merkle.keccak256(merkle.keccak256(encoded))


def test_a_genuine_proof_holds_and_gives_its_root() -> None:
    proof = make_proof()
    assert hexadecimal(proofs.check(proof)) == proof.root
    sent = msgspec.json.decode(msgspec.json.encode(proof), type=Proof)
    assert proofs.check(sent) == proofs.check(proof)


@pytest.mark.parametrize("member", ["batch_id", "factory_id", "serial", "sku", "manufactured_at"])
def test_changed_content_is_found(member: str) -> None:
    proof = make_proof()
    content = msgspec.structs.replace(proof.content, **{member: "another"})
    with pytest.raises(ProofFault, match="content was changed"):
        proofs.check(msgspec.structs.replace(proof, content=content))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": "voketag-proof-v2"}, "accepted is 'voketag-proof-v1'"),
        ({"leaf": "0x" + "00" * 32}, "content was changed"),
        ({"leaf": "00" * 32}, "leaf does not start with 0x"),
        ({"leaf": "0x" + "00" * 31}, "leaf has 31 bytes"),
        ({"root": "0x" + "00" * 32}, "does not lead from the leaf to the root"),
        ({"root": "0xzz"}, "root is not hexadecimal"),
        ({"path": []}, "does not lead from the leaf to the root"),
        ({"path": ["0x00"]}, "path has 1 bytes"),
        ({"batch_root": "0x" + "00" * 32}, "does not pass through the batch root"),
    ],
)
def test_a_changed_bundle_is_found(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ProofFault, match=message):
        proofs.check(msgspec.structs.replace(make_proof(), **change))


def test_every_node_of_the_path_matters() -> None:
    proof = make_proof()
    for number in range(len(proof.path)):
        path = list(proof.path)
        path[number] = "0x" + "ab" * 32
        with pytest.raises(ProofFault, match="does not lead"):
            proofs.check(msgspec.structs.replace(proof, path=path))


def test_a_product_id_that_is_none_is_found() -> None:
    proof = make_proof()
    content = msgspec.structs.replace(proof.content, product_id="none")
    with pytest.raises(ProofFault, match="not a UUID"):
        proofs.check(msgspec.structs.replace(proof, content=content))
