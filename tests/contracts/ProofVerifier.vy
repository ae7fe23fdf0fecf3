# pragma version 0.4.3
"""
@title Merkle proof verifier
@license Apache-2.0
@notice What OpenZeppelin's MerkleProof.verify does, for the tests: proofs are checked on the chain
        by code that shares nothing with ours.
"""


@external
@pure
def verify(proof: DynArray[bytes32, 64], root: bytes32, leaf: bytes32) -> bool:
    """
    @notice Whether the sibling hashes lead from the leaf to the root; a node is the keccak256 of
            its two children, the smaller first.
    """
    computed: bytes32 = leaf
    for sibling: bytes32 in proof:
        if convert(computed, uint256) < convert(sibling, uint256):
            computed = keccak256(concat(computed, sibling))
        else:
            computed = keccak256(concat(sibling, computed))
    return computed == root
