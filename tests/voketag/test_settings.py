"""Settings: all faults at once, defaults, and no secret where it could be printed."""

from __future__ import annotations

import ipaddress
from pathlib import Path
from uuid import UUID

import pytest

from voketag import settings
from voketag.errors import SettingsError

SECRETS = {
    "VOKETAG_REDIS_URL": "redis://:redispassword@127.0.0.1:6379/0",
    "VOKETAG_DATABASE_URL": "postgresql://u:pgpassword@127.0.0.1/voketag",
    "VOKETAG_DATABASE_READ_URL": "postgresql://u:readpassword@127.0.0.1/voketag",
    "VOKETAG_CHAIN_URL": "http://user:rpcpassword@127.0.0.1:8545",
    "VOKETAG_ADMIN_KEY": "adminkeyadminkeyadminkey",
    "VOKETAG_TOKEN_KEYS": "2:" + "ab" * 32 + ", 1:" + "cd" * 32,
    "VOKETAG_HASH_KEY": "ef" * 32,
    "VOKETAG_CHAIN_KEY": "0x" + "12" * 32,
}


def test_what_is_not_set_has_the_documented_default() -> None:
    loaded = settings.load(SECRETS)
    assert (loaded.scan_port, loaded.factory_port, loaded.ops_port) == (8080, 8081, 8082)
    assert loaded.home == Path(".voketag")
    assert loaded.public_url == "http://localhost:8080"
    assert loaded.scan_rate_limit == 60
    assert loaded.trusted_proxies == ()
    assert loaded.confirmations is None
    assert not loaded.redis_may_lose
    assert loaded.redis_replicas is None
    assert loaded.shed_after_s == 6 * 3600


def test_every_fault_is_reported_at_once() -> None:
    faults = {
        "VOKETAG_REDIS_URL": "http://127.0.0.1",
        "VOKETAG_DATABASE_URL": "mysql://root:dbpassword@127.0.0.1",
        "VOKETAG_DATABASE_READ_URL": "replica:readpassword@127.0.0.1",
        "VOKETAG_SCAN_PORT": "70000",
        "VOKETAG_FACTORY_PORT": "-1",
        "VOKETAG_OPS_PORT": "\u0665",  # a digit, but not ASCII
        "VOKETAG_ADMIN_KEY": "short",
        "VOKETAG_TOKEN_KEYS": "1:" + "ab" * 8,
        "VOKETAG_HASH_KEY": "zz",
        "VOKETAG_ANCHOR_WINDOW_S": "nan",
        "VOKETAG_CONFIRMATIONS": "0",
        "VOKETAG_CHAIN_KEY": "0x1234",
        "VOKETAG_CONTRACT": "1234",
        "VOKETAG_PUBLIC_URL": "voketag.example",
        "VOKETAG_SCAN_RATE_LIMIT": "many",
        "VOKETAG_TRUSTED_PROXIES": "10.0.0.0/8, localhost",
        "VOKETAG_SHARDS": "0",
        "VOKETAG_RETENTION_MONTHS": "1.5",
        "VOKETAG_GEO_DATABASE": "/nowhere/at/all.mmdb",
        "VOKETAG_DATACENTER_RANGES": "/nowhere/at/all.txt",
        "VOKETAG_REDIS_MAY_LOSE": "perhaps",
        "VOKETAG_REDIS_REPLICAS": "all",
        "VOKETAG_REDIS_MAX_MEMORY_MIB": "1G",
        "VOKETAG_SHED_AFTER_S": "0",
        "VOKETAG_LOG_LEVEL": "loud",
    }
    with pytest.raises(SettingsError) as raised:
        settings.load(faults)
    named = {fault.split(":")[0].split(" ")[0] for fault in raised.value.faults}
    assert named == {*faults, "VOKETAG_CHAIN_URL"}  # this one is missing
    assert all(name in str(raised.value) for name in faults)
    for secret in ("dbpassword", "readpassword", "short", "abababab", "zz", "0x1234"):
        assert secret not in str(raised.value)


def test_what_is_missing_is_said_to_be_missing() -> None:
    with pytest.raises(SettingsError) as raised:
        settings.load({"VOKETAG_ADMIN_KEY": ""})
    assert len(raised.value.faults) == 6
    assert all("is not set" in fault for fault in raised.value.faults)


@pytest.mark.parametrize(
    "keys",
    [
        "",
        "ab" * 32,
        "256:" + "ab" * 32,
        "-1:" + "ab" * 32,
        "1:" + "ab" * 15,
        "1:xy",
        "1:" + "ab" * 32 + ",1:" + "cd" * 32,
        "1:" + "ab" * 32 + ",",
    ],
)
def test_token_keys_that_cannot_be_used_are_refused(keys: str) -> None:
    with pytest.raises(SettingsError, match="VOKETAG_TOKEN_KEYS"):
        settings.load({**SECRETS, "VOKETAG_TOKEN_KEYS": keys})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ADMIN_KEY", " " * 16),
        ("ADMIN_KEY", "a key of two words"),
        ("ADMIN_KEY", "chave-de-administra\u00e7\u00e3o"),
        ("CHAIN_KEY", "0x" + "00" * 32),
        ("CHAIN_KEY", "ff" * 32),
        ("CHAIN_URL", "http://"),
        ("PUBLIC_URL", "https:///r"),
        ("PUBLIC_URL", "https://t .example"),
    ],
)
def test_what_could_never_work_is_refused(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=f"VOKETAG_{name}: "):
        settings.load({**SECRETS, f"VOKETAG_{name}": value})


def test_no_secret_is_in_the_repr() -> None:
    shown = repr(settings.load(SECRETS)) + str(settings.load(SECRETS))
    for secret in ("password", "adminkey", "abab", "cdcd", "efef", "1212", "\\xef"):
        assert secret not in shown


def test_the_first_token_key_signs_and_all_verify() -> None:
    ring = settings.load(SECRETS).token_keys
    old = settings.load({**SECRETS, "VOKETAG_TOKEN_KEYS": "1:" + "cd" * 32}).token_keys
    product_id = UUID(int=5)
    assert ring.verify(old.mint(product_id)) == product_id
    assert old.verify(ring.mint(product_id)) is None


def test_proxies_and_urls_are_read() -> None:
    loaded = settings.load(
        {
            **SECRETS,
            "VOKETAG_TRUSTED_PROXIES": "10.0.0.0/8, ::1/128",
            "VOKETAG_PUBLIC_URL": "https://t.example/",
            "VOKETAG_REDIS_MAY_LOSE": "yes",
        }
    )
    assert loaded.trusted_proxies == (
        ipaddress.ip_network("10.0.0.0/8"),
        ipaddress.ip_network("::1/128"),
    )
    assert loaded.public_url == "https://t.example"
    assert loaded.redis_may_lose


def test_an_empty_variable_is_as_good_as_none() -> None:
    loaded = settings.load({**SECRETS, "VOKETAG_SCAN_PORT": "", "VOKETAG_CONTRACT": ""})
    assert loaded.scan_port == 8080
    assert loaded.contract is None
