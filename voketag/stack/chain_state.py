"""The state file of the development chain, and a copy of it that can be trusted.

anvil overwrites its file in place and does not stop the chain meanwhile. At a crash the file may be
cut off, on which anvil does not start; or its accounts may have been read a block later than its
blocks, and then the chain would hold for ever what no block of it ever did.
"""

from __future__ import annotations

import asyncio
import shutil
import zlib
from collections.abc import Callable
from pathlib import Path

import msgspec

STATE_INTERVAL_S = 2
# Where the chain itself keeps the hash of each block's parent, in a ring (EIP-2935).
_PARENTS = "0x0000f90827f1c53a10cb7a02335b175320002935"
_RING = 8191


class _Account(msgspec.Struct):
    storage: dict[str, str] = {}


class _Header(msgspec.Struct, rename="camel"):
    number: str
    parent_hash: str


class _Block(msgspec.Struct):
    header: _Header


class _State(msgspec.Struct):
    best_block_number: int
    accounts: dict[str, _Account]
    blocks: list[_Block]


_decoder = msgspec.json.Decoder(_State)


def usable(text: bytes) -> bool:
    """Whether a state is complete, and its accounts are those of its last block."""
    try:
        state = _decoder.decode(text)
    except msgspec.MsgspecError:
        return False
    if _PARENTS not in state.accounts:
        return True  # a chain that starts, or one older than EIP-2935
    parents = {int(slot, 16): value for slot, value in state.accounts[_PARENTS].storage.items()}
    best = state.best_block_number
    # The last block has left its parent's hash, and where the next one will leave its parent's
    # there still stands what a block a whole ring ago has left, if anything.
    left_by_last, left_by_next = parents.get((best - 1) % _RING), parents.get(best % _RING)
    return (best == 0 or left_by_last in _parents_of(state, best)) and (
        left_by_next is None or left_by_next in _parents_of(state, best + 1 - _RING)
    )


def _parents_of(state: _State, number: int) -> set[str]:
    """What the blocks of this number say is their parent: one of them is canonical."""
    headers = (block.header for block in state.blocks)
    return {header.parent_hash for header in headers if int(header.number, 16) == number}


def repair(state: Path, report: Callable[[str], None]) -> None:
    """Put the last good copy in the place of a state that was being written at a crash."""
    if not state.exists() or usable(state.read_bytes()):
        return
    good = _good_copy(state)
    state.replace(state.with_name("state.broken.json"))
    if good.exists() and usable(good.read_bytes()):
        shutil.copyfile(good, state)
        report("chain: its state was spoilt by a crash; it goes on from the copy before it")
    else:
        report("chain: its state was spoilt by a crash and there is no copy; it starts empty")


async def keep_good_copies(state: Path) -> None:
    """Copy the state whenever anvil has written a usable new one, for ever."""
    last = 0
    while True:
        await asyncio.sleep(STATE_INTERVAL_S)
        last = await asyncio.to_thread(_copy_if_new, state, last)


def _copy_if_new(state: Path, last: int) -> int:
    """Make the good copy if the state changed and is usable. The checksum of the one copied."""
    try:
        text = state.read_bytes()
    except FileNotFoundError:
        return last
    checksum = zlib.crc32(text)
    if checksum == last or not usable(text):
        return last
    temporary = state.with_name("state.good.json.new")
    temporary.write_bytes(text)
    temporary.replace(_good_copy(state))
    return checksum


def _good_copy(state: Path) -> Path:
    return state.with_name("state.good.json")
