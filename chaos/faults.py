"""The faults: each is done to one program, server or connection, and lifted again."""

from __future__ import annotations

import asyncio
import contextlib
import random
import signal
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from chaos.chain_rpc import call
from chaos.system import System
from voketag.stack.stack import VARIABLES

GONE_TIMEOUT_S = 5.0
CHAIN_FAULTS = ("reorg", "drop", "spike", "no blocks")
# How often each kind is drawn. Kills are what is counted, so they are most.
WEIGHTS = {"kill": 20, "stop": 3, "cut": 2, "lose": 3, "delay": 1, "freeze": 1, "chain": 2}


@dataclass(frozen=True)
class Fault:
    """One fault: what kind, to whom, for how long in seconds (0: it is over at once)."""

    kind: str
    target: str
    lasts_s: float = 0.0

    def __str__(self) -> str:
        lasts = f" for {self.lasts_s:.1f} s" if self.lasts_s else ""
        return f"{self.kind} {self.target}{lasts}"


class Faults:
    """Draws faults from a seed. The same seed draws the same faults in the same order."""

    def __init__(self, seed: int, programs: Sequence[str], only: str = "") -> None:
        self._chance = random.Random(seed)
        self._targets = [name for name in (*programs, *VARIABLES) if only in name]
        self._kinds = ["kill"] if only else list(WEIGHTS)

    def draw(self, kills_most: int) -> list[Fault]:
        """What happens next at the same time: one fault, now and then several."""
        count = self._chance.choices((1, 2, 3), (5, 3, 2))[0]
        drawn: dict[str, Fault] = {}
        for _ in range(count):
            fault = self._draw()
            kills = sum(other.kind == "kill" for other in drawn.values())
            if fault.kind != "kill" or kills < kills_most:
                drawn.setdefault(fault.target, fault)
        return list(drawn.values())

    def _draw(self) -> Fault:
        weights = [WEIGHTS[kind] for kind in self._kinds]
        kind = self._chance.choices(self._kinds, weights)[0]
        if kind == "kill":
            return Fault(kind, self._chance.choice(self._targets))
        if kind == "stop":
            # Some shorter than a lease, some longer.
            lasts_s = self._chance.choice(
                (self._chance.uniform(0.2, 1.0), self._chance.uniform(3, 6))
            )
            return Fault(kind, self._chance.choice(self._targets), lasts_s)
        if kind == "chain":
            what = self._chance.choice(CHAIN_FAULTS)
            return Fault(what, "chain", 2.0 if what in ("spike", "no blocks") else 0.0)
        lasts_s = {"delay": 2.0, "freeze": self._chance.uniform(1, 7)}.get(kind, 0.0)
        return Fault(kind, self._chance.choice(tuple(VARIABLES)), lasts_s)


async def inflict(system: System, fault: Fault) -> None:
    """Do it, and return once it is over. What it hits may be down already: then nothing happens."""
    if fault.kind == "kill":
        await _kill(system, fault.target)
    elif fault.kind == "stop":
        async with _stopped(system, fault.target):
            await asyncio.sleep(fault.lasts_s)
    elif fault.target == "chain" and fault.kind in CHAIN_FAULTS:
        await _on_chain(system, fault)
    else:
        await _on_connections(system, fault)


async def _kill(system: System, name: str) -> None:
    """SIGKILL, and wait until it is gone: what the supervisor starts then is another process."""
    pid = system.send(name, signal.SIGKILL)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(GONE_TIMEOUT_S):
            while pid is not None and system.pid(name) == pid:  # noqa: ASYNC110
                await asyncio.sleep(0.005)


@contextlib.asynccontextmanager
async def _stopped(system: System, name: str) -> AsyncIterator[None]:
    pid = system.send(name, signal.SIGSTOP)
    try:
        yield
    finally:
        if pid is not None and system.pid(name) == pid:
            system.send(name, signal.SIGCONT)


async def _on_connections(system: System, fault: Fault) -> None:
    proxy = system.proxies[fault.target]
    if fault.kind == "cut":
        await proxy.cut()
    elif fault.kind == "lose":
        proxy.lose_requests += 2
        proxy.lose_replies += 2
    elif fault.kind == "delay":
        proxy.delay_s = 0.1
        await asyncio.sleep(fault.lasts_s)
        proxy.delay_s = 0.0
    elif fault.kind == "freeze":
        proxy.flowing.clear()
        await asyncio.sleep(fault.lasts_s)
        proxy.flowing.set()
        await proxy.cut()
    else:
        raise ValueError(f"there is no fault {fault.kind}")


async def _on_chain(system: System, fault: Fault) -> None:
    """What real chains do, asked of the development chain itself. It may be down: then nothing."""
    url = system.settings.chain_url
    with contextlib.suppress(OSError, ValueError):
        if fault.kind == "reorg":
            await call(url, "anvil_reorg", 1, [])
        elif fault.kind == "drop":
            await call(url, "anvil_dropAllTransactions")
        elif fault.kind == "spike":
            await call(url, "anvil_setNextBlockBaseFeePerGas", hex(40 * 10**9))
            await asyncio.sleep(fault.lasts_s)
        else:
            await call(url, "evm_setAutomine", False)
            await asyncio.sleep(fault.lasts_s)
            await call(url, "evm_setAutomine", True)
            await call(url, "evm_mine")
