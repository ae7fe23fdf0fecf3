"""The registry contract and the account that owns it, checked before anything is signed."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import msgspec

from voketag.chain import fees, signing
from voketag.chain.answers import Sent
from voketag.chain.client import DEVELOPMENT_CHAIN_ID, Chain
from voketag.chain.signing import Sender
from voketag.errors import SettingsError, Unavailable
from voketag.settings import Settings

ARTIFACT = Path(__file__).resolve().parents[2] / "contracts" / "Registry.json"
CONFIRMATIONS = 12
CREATION_TIMEOUT_S = 10.0
_POLL_S = 0.02


class Registry(msgspec.Struct, frozen=True):
    """Where anchors go, who sends them, and after how many blocks they count as final."""

    chain_id: int
    contract: bytes
    sender: Sender
    confirmations: int

    @property
    def development(self) -> bool:
        """Whether the chain is a development chain: one node, no other users, no reorganisations
        but those of a node that lost its last seconds.
        """
        return self.chain_id == DEVELOPMENT_CHAIN_ID


def bytecode() -> bytes:
    """The registry's compiled code as it is committed."""
    artifact = msgspec.json.decode(ARTIFACT.read_bytes())
    return bytes.fromhex(artifact["bytecode"].removeprefix("0x"))


async def open_registry(chain: Chain, settings: Settings) -> Registry:
    """The registry that the settings name; on a development chain it is created where missing.

    Raises SettingsError: it is another chain, a setting is missing, no registry stands there, or
    it is not ours.
    """
    chain_id = await chain.chain_id()
    if settings.chain_id is not None and settings.chain_id != chain_id:
        raise SettingsError(
            [
                f"VOKETAG_CHAIN_ID is {settings.chain_id}, and VOKETAG_CHAIN_URL leads to chain "
                f"{chain_id}: give the URL of a server of chain {settings.chain_id}"
            ]
        )
    if chain_id == DEVELOPMENT_CHAIN_ID:
        sender = Sender(settings.chain_key or signing.DEVELOPMENT_KEY, chain_id)
        if settings.contract is None:
            contract = await deploy(chain, sender)
        else:
            contract = bytes.fromhex(settings.contract[2:])
    else:
        if settings.chain_key is None or settings.contract is None:
            raise SettingsError(
                [
                    f"chain {chain_id} is not a development chain: VOKETAG_CHAIN_KEY and "
                    "VOKETAG_CONTRACT are both required (a private key, and the address of a "
                    "registry contract that it owns)"
                ]
            )
        sender = Sender(settings.chain_key, chain_id)
        contract = bytes.fromhex(settings.contract[2:])
    await _check_owner(chain, contract, sender)
    return Registry(chain_id, contract, sender, confirmations_of(settings, chain_id))


def confirmations_of(settings: Settings, chain_id: int) -> int:
    """After how many blocks, its own among them, an anchor on this chain is final."""
    if settings.confirmations is not None:
        return settings.confirmations
    return 1 if chain_id == DEVELOPMENT_CHAIN_ID else CONFIRMATIONS


async def _check_owner(chain: Chain, contract: bytes, sender: Sender) -> None:
    if not await chain.has_code(contract):
        raise SettingsError(
            [
                f"VOKETAG_CONTRACT: no contract stands at 0x{contract.hex()} on chain "
                f"{sender.chain_id}: deploy contracts/Registry.json there and set its address, or "
                "set VOKETAG_CHAIN_URL to a server of the chain that has it"
            ]
        )
    owner = await chain.owner(contract)
    if owner is None:
        raise SettingsError(
            [
                f"VOKETAG_CONTRACT: what stands at 0x{contract.hex()} is no registry, for it has "
                "no owner(): set the address of a contract made from contracts/Registry.json"
            ]
        )
    if owner != sender.address:
        raise SettingsError(
            [
                f"VOKETAG_CONTRACT: 0x{contract.hex()} is owned by 0x{owner.hex()}, while "
                f"VOKETAG_CHAIN_KEY is the key of 0x{sender.address.hex()}: only the owner "
                "anchors, so set the owner's key, or the address of a registry of your own"
            ]
        )


async def deploy(chain: Chain, sender: Sender) -> bytes:
    """The address of the sender's own registry, which is created unless it is there.

    The address depends on code and owner alone. So a development chain that lost its last seconds,
    or all of its past, gets the same contract at the same place again, the transactions that were
    signed for it stay good, and two processes that do this at once do no harm: the second
    creation reverts.
    """
    code = signing.creation_code(bytecode(), sender.address)
    contract = signing.created_address(code)
    if await chain.has_code(contract):
        return contract
    if not await chain.has_code(signing.CREATOR):
        raise SettingsError(
            [
                f"the chain has no contract creator at 0x{signing.CREATOR.hex()}: create the "
                "registry by other means and set VOKETAG_CONTRACT"
            ]
        )
    nonce = await chain.transaction_count(sender.address, "pending")
    signed = sender.creation(code, nonce=nonce, fees=fees.first(await chain.market()))
    answer = await chain.send_raw(signed.raw)
    taken = answer.sent in (Sent.ACCEPTED, Sent.ALREADY_KNOWN)
    if not taken and not await chain.has_code(contract):
        raise Unavailable(f"chain: the registry cannot be created: {answer.text}")
    deadline = time.monotonic() + CREATION_TIMEOUT_S
    while not await chain.has_code(contract):
        if time.monotonic() > deadline:
            raise Unavailable("chain: the registry's creation was sent; it is in no block yet")
        await asyncio.sleep(_POLL_S)
    return contract
