# pragma version 0.4.3
# pragma evm-version cancun
# pragma optimize gas
"""
@title VokeTag registry
@license Apache-2.0
@notice Remembers when a Merkle root was anchored. Its owner alone anchors, and a root once only: a
        transaction that is sent twice after all can do nothing but revert.
"""

event Anchored:
    root: indexed(bytes32)
    at: uint256

# Immutable: it lies in the code, where reading it costs no storage access.
owner: public(immutable(address))

# Unix seconds of the block that anchored a root; 0 for a root that never was.
anchoredAt: public(HashMap[bytes32, uint256])


@deploy
def __init__(initial_owner: address):
    """
    @param initial_owner Who may anchor. Named rather than taken from the sender, so that the
           contract can be created through a factory at an address that depends on nothing else.
    """
    owner = initial_owner


@external
def anchor(root: bytes32):
    """
    @notice Anchors a root at the time of this block.
    @param root The Merkle root; one that is anchored already is refused.
    """
    assert msg.sender == owner, "not the owner"
    assert self.anchoredAt[root] == 0, "already anchored"
    self.anchoredAt[root] = block.timestamp
    log Anchored(root=root, at=block.timestamp)
