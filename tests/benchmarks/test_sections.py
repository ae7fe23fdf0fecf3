"""Each section that needs no load generator measures at a tiny scale, against real servers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.growth import asking, redis_bytes
from benchmarks.peers import SEED_FACTORY
from benchmarks.section import Bench, Found
from benchmarks.sections import anchoring, factory, growth, merkle, persist
from benchmarks.systems.voketag import NAME

ROUNDS = 2
SCALE = 0.01


@pytest.fixture
def bench(tmp_path: Path) -> Callable[..., Bench]:
    def scaled(scale: float, rounds: int = ROUNDS) -> Bench:
        return Bench(tmp_path, rounds, scale, print)

    return scaled


def values(found: Found, name: str, system: str = NAME) -> tuple[float, ...]:
    """The rounds of one figure."""
    (figure,) = [one for one in found.figures if (one.name, one.system) == (name, system)]
    return figure.values


def is_sound(found: Found) -> None:
    """Every figure is something, each is there once, and what is compared has as many rounds."""
    assert all(value > 0 for figure in found.figures for value in figure.values)
    named = [(figure.name, figure.system) for figure in found.figures]
    assert len(named) == len(set(named))
    assert all(target.of in found.figures and len(target.values) > 0 for target in found.targets)


async def test_merkle(bench: Callable[..., Bench]) -> None:
    found = await merkle.SECTION.measure(bench(SCALE))
    is_sound(found)
    (target,) = found.targets
    assert (target.at_least, target.aim, len(target.values)) == (0.5, 0.8, ROUNDS)


async def test_persist(bench: Callable[..., Bench]) -> None:
    found = await persist.SECTION.measure(bench(SCALE))
    is_sound(found)
    assert len(values(found, "rows copied", "asyncpg COPY")) == ROUNDS
    for ours in ("stored", "decoded and stored", "replayed"):
        assert len(values(found, f"rows {ours}")) == ROUNDS
    assert [target.at_least for target in found.targets] == [0.6, None, None]


async def test_factory(bench: Callable[..., Bench], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(factory, "WARM_UP_BATCHES", 1)
    monkeypatch.setattr(factory, "SIZES", (1_000,))
    found = await factory.SECTION.measure(bench(SCALE, rounds=1))
    is_sound(found)
    accepted, stored, completed = (
        values(found, f"1,000 products {what}")[0] for what in ("accepted", "stored", "completed")
    )
    assert accepted < stored < completed
    measured = {figure.system for figure in found.figures}
    bounds = {(target.at_least, target.aim, target.better) for target in found.targets}
    assert (50, 25, "less") in bounds
    missing = [note for note in found.notes if "NOT MEASURED" in note]
    if not missing:
        assert measured == {NAME, SEED_FACTORY.name}
        assert (2.0, 4.0, "more") in bounds
    assert {figure.name for figure in found.figures} >= {
        f"{name}: most {kind} memory, a batch of 1,000"
        for name in ("factory", "register")
        for kind in ("resident", "proportional")
    }


async def test_a_peer_that_is_not_installed(
    bench: Callable[..., Bench], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("benchmarks.peers._PYTHON", str(tmp_path / "python"))
    monkeypatch.setattr(factory, "SIZES", ())
    monkeypatch.setattr(factory, "WARM_UP_BATCHES", 1)
    found = await factory.SECTION.measure(bench(SCALE, rounds=1))
    is_sound(found)
    (missing,) = [note for note in found.notes if "NOT MEASURED" in note]
    assert missing.startswith(SEED_FACTORY.name)
    assert "make peers" in missing
    assert {figure.system for figure in found.figures} == {NAME}


async def test_anchoring(bench: Callable[..., Bench], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(anchoring, "MANY", 3)
    monkeypatch.setattr(anchoring, "ROUNDS_MAX", 1)
    monkeypatch.setattr(anchoring, "MOST", 500)
    found = await anchoring.SECTION.measure(bench(SCALE))
    is_sound(found)
    (gas,) = values(found, "1 batch: gas of a batch")
    assert 40_000 < gas < 70_000
    assert values(found, "1 batch: transactions") == (1,)
    assert values(found, "5 batches: transactions") == (1,)
    (seconds,) = values(found, "5 batches: first root queued to last batch final")
    assert seconds >= 2  # the window
    assert any("shortened" in note for note in found.notes)


@pytest.mark.timeout(180)
async def test_growth(bench: Callable[..., Bench], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "TIMES", 3)
    monkeypatch.setattr(redis_bytes, "SCANS_MOST", 3)
    monkeypatch.setenv(growth.ROWS_VARIABLE, "200000")
    found = await growth.SECTION.measure(bench(0.1))
    is_sound(found)
    full, empty = (
        values(found, name)
        for name in (
            "ingestion, 20,000 scans stored",
            "ingestion into an empty table, beside 20,000 scans stored",
        )
    )
    assert len(full) == len(empty) == ROUNDS
    assert [target.at_least for target in found.targets] == [None, 0.8]
    names = {figure.name for figure in found.figures}
    assert {"a stored scan, 2,000 scans stored", "what a proof reads, 0 scans stored"} <= names
    assert any(name.startswith("a month of ") for name in names)
    assert any(name.startswith("Redis: a scan in flight, ") for name in names)
