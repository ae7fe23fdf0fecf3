"""`voketag demo`: the main job, from a factory's first batch to a proof on the chain, against a
throw-away stack that leaves nothing behind.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import shutil
import tempfile
import time
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID

from voketag import identifiers
from voketag.batches.answers import BatchAnchor, ProductLine
from voketag.client import BatchFailed, Device, FactoryClient
from voketag.client.waiting import until
from voketag.errors import VokeTagError
from voketag.ops import run, verify
from voketag.ops.clients import Clients
from voketag.ops.steps import Steps, spelled
from voketag.scans.answers import ScanAnswer, ScanRecord
from voketag.settings import Settings
from voketag.tokens import ALPHABET

PRODUCTS = 1000
PROCESSING_TIMEOUT_S = 30.0
STORED_TIMEOUT_S = 15.0
FINAL_TIMEOUT_S = 60.0
LAST_LINES = 30  # of the processes' own words, said where the job fails
# Documentation addresses (RFC 5737) stand for the phones' own: no database places them anywhere.
ABROAD = ("PT", "US", "JP", "DE", "AU", "ZA", "IN", "MX")


class Unexpected(VokeTagError):
    """The system answered, and not as it should; the message says what and how."""


@dataclass
class Job:
    """The main job and what it has found out so far."""

    settings: Settings
    api: Clients
    steps: Steps
    key: str = field(default="", repr=False)
    batch_id: str = ""
    pushed_s: float = 0.0
    products: list[ProductLine] = field(default_factory=list)

    @property
    def factory(self) -> FactoryClient:
        """The factory's client, once it has a key."""
        return self.api.factory(self.key)

    @property
    def token(self) -> str:
        """The token that is scanned again and again."""
        return self.products[0].token


async def demo(environ: Mapping[str, str]) -> bool:
    """Run the job and print its steps, and what failed; gives whether all went as it should."""
    steps = Steps()
    words: deque[str] = deque(maxlen=LAST_LINES)
    done, finished = asyncio.Event(), False

    async def work(settings: Settings, api: Clients, _first: bool) -> None:
        nonlocal finished
        starting.found = "Redis, Postgres, chain and every process of the Procfile"
        context.close()
        await main_job(Job(settings, api, steps))
        finished = True
        done.set()

    with throw_away_home() as home, contextlib.ExitStack() as context:
        starting = context.enter_context(steps.step("start a stack of its own"))
        try:
            await run.run(
                home,
                settings_for(environ),
                work,
                until=done,
                report=words.append,
                show=words.append,
            )
            if not finished:
                steps.failed("stopped before it was done")
        except VokeTagError as error:
            steps.failed(str(error))
            print("\n".join(f"    {line}" for line in words))
    return finished


@contextlib.contextmanager
def throw_away_home() -> Iterator[Path]:
    """A data directory that is gone afterwards, whatever happens."""
    home = Path(tempfile.mkdtemp(prefix="voketag-demo-"))
    try:
        yield home
    finally:
        shutil.rmtree(home, ignore_errors=True)


def settings_for(environ: Mapping[str, str]) -> dict[str, str]:
    """The caller's environment without any VokeTag setting: no server of theirs is touched."""
    kept = {name: value for name, value in environ.items() if not name.startswith("VOKETAG_")}
    return kept | {
        **dict.fromkeys(run.PORT_VARIABLES, "0"),
        "VOKETAG_ANCHOR_WINDOW_S": "1",
        "VOKETAG_TRUSTED_PROXIES": "127.0.0.0/8",  # so that we can speak for many phones
        "VOKETAG_LOG_LEVEL": "warning",
    }


async def main_job(job: Job) -> None:
    """Every step of the main job, in order."""
    await push(job)
    first = await scan_once(job)
    await scan_nothing(job)
    await scan_again(job, first)
    await scan_abroad(job)
    await report(job)
    await anchored(job)
    await prove(job)
    job.steps.total("the whole job")


# ---------------------------------------------------------------------- the factory's side


async def push(job: Job) -> None:
    """A factory, and a batch of products that is stored and has a Merkle root."""
    with job.steps.step("create a factory") as step:
        made = await job.api.ops.create_factory("Demo", "demo@example.com")
        job.key = made.api_key
        step.found = f"{made.factory_id}, key {job.key[:11]}…"
    job.pushed_s = time.monotonic()
    with job.steps.step(f"push a batch of {PRODUCTS:,} (to 202)") as step:
        accepted = await job.factory.create_batch(
            product_count=PRODUCTS,
            sku="SHOE-42",
            name="Running shoe",
            destination_countries=["BR"],
        )
        job.batch_id = step.found = str(accepted.batch_id)
    with job.steps.step("all products stored (`processing`)") as step:
        step.waiting("pending")
        batch = await job.factory.wait_for(
            job.batch_id, "processing", timeout_s=PROCESSING_TIMEOUT_S, every_s=0.002
        )
        since = spelled(time.monotonic() - job.pushed_s)
        step.found = f"{since} after the POST, root {str(batch.merkle_root)[:18]}…"
    with job.steps.step("download the tokens") as step:
        job.products = [product async for product in job.factory.products(job.batch_id)]
        _expect("products in the export", len(job.products), PRODUCTS)
        step.found = f"{len(job.products):,} tokens of {len(job.token)} characters"


# ---------------------------------------------------------------------- phones


async def _scan(
    job: Job, token: str, country: str, phone: int, address: str, scan_id: UUID | None = None
) -> ScanAnswer:
    return await job.api.scan.scan(
        token,
        country=country,
        device=Device(install_id=f"phone-{phone}", model="Demo phone"),
        scan_id=scan_id,
        forwarded_for=address,
    )


async def scan_once(job: Job) -> ScanAnswer:
    """A genuine token, for the first time."""
    with job.steps.step("scan a genuine token") as step:
        first = await _scan(job, job.token, "BR", 1, "192.0.2.1")
        _expect("verdict", first.verdict, "authentic")
        _expect("serial", first.product and first.product.serial, job.products[0].serial)
        step.found = _verdict(first)
    return first


async def scan_nothing(job: Job) -> None:
    """A forged token and one of a product that was never made: the same answer."""
    place = len(job.token) - 5
    other = ALPHABET[(ALPHABET.index(job.token[place]) + 1) % len(ALPHABET)]
    forged = job.token[:place] + other + job.token[place + 1 :]
    unknown = job.settings.token_keys.mint(identifiers.new_id())
    answers = []
    for name, token in (("a forged token", forged), ("an unknown token", unknown)):
        with job.steps.step(f"scan {name}") as step:
            answer = await _scan(job, token, "BR", 2, "192.0.2.2")
            _expect("verdict", answer.verdict, "not_recognised")
            step.found = _verdict(answer)
            answers.append((answer.verdict, answer.product, answer.risk, answer.history))
    _expect("the answer to a forged token", answers[0], answers[1])


async def scan_again(job: Job, first: ScanAnswer) -> None:
    """The same scan id again: the same answer, counted once; and the record of it."""
    with job.steps.step("the same scan_id again") as step:
        again = await _scan(job, job.token, "BR", 1, "192.0.2.1", first.scan_id)
        _expect("the answer to the same scan", again, first)
        step.found = f"the same answer, counted {_counted(again)}x"
    with job.steps.step("the scan's record in Postgres") as step:

        async def stored() -> ScanRecord | None:
            return await job.api.scan.scan_of_record(first.scan_id)

        record = await until("the scan is stored", stored, STORED_TIMEOUT_S)
        _expect("verdict of record", record.verdict, first.verdict)
        step.found = _verdict(record)


async def scan_abroad(job: Job) -> None:
    """The same token from one country after another, as copies of it would be."""
    for number, country in enumerate(ABROAD, 2):
        with job.steps.step(f"the same token from {country}, another device") as step:
            last = await _scan(job, job.token, country, 10 + number, f"198.51.100.{number}")
            _expect("scans counted", _counted(last), number)
            step.found = _verdict(last)
        if last.verdict == "high_risk":
            return
    raise Unexpected(f"{len(ABROAD)} countries did not turn the verdict: {last}")


async def report(job: Job) -> None:
    """A person reports the product."""
    with job.steps.step("file a fraud report") as step:
        report_id = await job.api.scan.report(
            "counterfeit", token=job.token, description="Bought at a street market."
        )
        step.found = str(report_id)


def _verdict(answer: ScanAnswer) -> str:
    if answer.risk is None:
        return answer.verdict
    reasons = ", ".join(reason.code for reason in answer.risk.reasons)
    return f"{answer.verdict}, risk {answer.risk.score}" + (f": {reasons}" if reasons else "")


def _counted(answer: ScanAnswer) -> int | None:
    return None if answer.history is None else answer.history.scans


# ---------------------------------------------------------------------- the chain


async def anchored(job: Job) -> None:
    """The batch's root is on the chain, for good."""
    with job.steps.step("the anchor is final (`completed`)") as step:

        async def final() -> BatchAnchor | None:
            batch = await job.factory.batch(job.batch_id)
            step.waiting(f"anchor {batch.anchor.status if batch.anchor else 'not queued'}")
            if batch.status == "failed":
                raise BatchFailed(f"the batch failed: {batch}")
            return batch.anchor if batch.status == "completed" else None

        anchor = await until("the anchor is final", final, FINAL_TIMEOUT_S)
        since = spelled(time.monotonic() - job.pushed_s)
        step.found = f"{since} after the POST, block {anchor.block_number}"


async def prove(job: Job) -> None:
    """One product's proof, verified by three that do not rely on each other."""
    with job.steps.step("download a product's proof") as step:
        product = secrets.choice(job.products)
        bundle = await job.factory.proof_bundle(product.product_id)
        proof = verify.read(bundle)
        _expect("serial in the proof", proof.content.serial, product.serial)
        step.found = f"{len(bundle):,} bytes, {len(proof.path)} hashes"
    with job.steps.step("verify it offline") as step:
        _all_hold(list(verify.offline(proof)))
        step.found = f"content → leaf → root {proof.root[:18]}…"
    with job.steps.step("verify it against the chain") as step:
        _all_hold(await verify.on_chain(proof, job.settings.chain_url, None))
        step.found = f"anchored {proof.anchored_at}, transaction {proof.tx_hash[:18]}…"
    with job.steps.step("let a contract verify it") as step:
        _all_hold(await verify.by_contract(proof, job.settings.chain_url))
        step.found = f"path verified on the chain, root in {proof.contract}"


def _all_hold(checks: list[verify.Check]) -> None:
    for check in checks:
        if not check.holds:
            raise Unexpected(check.text)


def _expect(what: str, found: object, expected: object) -> None:
    if found != expected:
        raise Unexpected(f"{what}: found {found!r}, expected {expected!r}")
