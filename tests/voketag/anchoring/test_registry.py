"""Opening the registry: what is missing or wrong is said before anything is signed."""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterator

import pytest

from tests.anchoring import settings_for
from voketag.anchoring import registry
from voketag.chain import signing
from voketag.chain.client import Chain
from voketag.chain.signing import Sender
from voketag.errors import SettingsError
from voketag.settings import Settings

STRANGER = "0x59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d"


@pytest.fixture
async def chain(chain_url: str) -> AsyncIterator[Chain]:
    opened = Chain(chain_url)
    yield opened
    await opened.close()


@pytest.fixture
def configured(chain_url: str) -> Settings:
    return settings_for("postgresql://127.0.0.1/none", chain_url)


async def test_a_development_chain_needs_no_setting(chain: Chain, configured: Settings) -> None:
    opened = await registry.open_registry(chain, configured)
    assert opened.development
    assert opened.confirmations == 1
    assert await chain.owner(opened.contract) == opened.sender.address
    again = await registry.open_registry(chain, configured)
    assert again.contract == opened.contract


async def test_a_key_of_ones_own_gets_a_registry_of_its_own(
    chain: Chain, configured: Settings
) -> None:
    ours = await registry.open_registry(chain, configured)
    settings = dataclasses.replace(configured, chain_key=STRANGER)
    theirs = await registry.open_registry(chain, settings)
    assert theirs.contract != ours.contract
    assert await chain.owner(theirs.contract) == theirs.sender.address


async def test_the_contract_of_another_owner_is_refused(chain: Chain, configured: Settings) -> None:
    ours = await registry.open_registry(chain, configured)
    settings = dataclasses.replace(
        configured, chain_key=STRANGER, contract="0x" + ours.contract.hex()
    )
    with pytest.raises(SettingsError, match="only the owner anchors"):
        await registry.open_registry(chain, settings)


async def test_an_address_without_a_contract_is_refused(chain: Chain, configured: Settings) -> None:
    settings = dataclasses.replace(configured, contract="0x" + "12" * 20)
    with pytest.raises(SettingsError, match="no contract stands at 0x1212"):
        await registry.open_registry(chain, settings)


@pytest.mark.parametrize(
    "given", [{}, {"chain_key": STRANGER}, {"contract": "0x" + "12" * 20}], ids=str
)
async def test_elsewhere_key_and_contract_are_both_required(
    chain: Chain, configured: Settings, given: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry, "DEVELOPMENT_CHAIN_ID", 1)
    settings = dataclasses.replace(configured, **given)  # type: ignore[arg-type]
    with pytest.raises(SettingsError, match="VOKETAG_CHAIN_KEY and VOKETAG_CONTRACT are both"):
        await registry.open_registry(chain, settings)


async def test_elsewhere_twelve_confirmations_unless_said(
    chain: Chain, configured: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    contract = await registry.deploy(chain, Sender(STRANGER, 31337))
    monkeypatch.setattr(registry, "DEVELOPMENT_CHAIN_ID", 1)
    settings = dataclasses.replace(configured, chain_key=STRANGER, contract="0x" + contract.hex())
    opened = await registry.open_registry(chain, settings)
    assert (opened.confirmations, opened.development) == (12, False)
    settings = dataclasses.replace(settings, confirmations=5)
    assert (await registry.open_registry(chain, settings)).confirmations == 5


def test_the_address_is_known_before_the_contract_is_created() -> None:
    """The first example of EIP-1014 is of another creator; so the formula is checked on the chain
    in the other tests, and here that it depends on code and owner alone.
    """
    code = registry.bytecode()
    owners = [bytes([number]) * 20 for number in range(3)]
    addresses = {signing.created_address(signing.creation_code(code, owner)) for owner in owners}
    assert len(addresses) == 3
