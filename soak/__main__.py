"""`python -m soak`: run the load, print what was measured, draw it, fail where a figure grows."""

from __future__ import annotations

import asyncio
import os
import sys
from collections import deque
from collections.abc import Sequence
from pathlib import Path

import click

from soak import drawing, samples
from soak.load import Load
from soak.samples import Sample, Trend
from voketag.ops import demo, run
from voketag.ops.clients import Clients
from voketag.ops.command import carry_out
from voketag.redis.connection import connect
from voketag.settings import Settings
from voketag.tasks import end

EVERY_S = 1.0
SAID_EVERY = 10  # samples
LAST_LINES = 30
MIB = 2.0**20


async def soak(for_s: float, rate: int, named_share: float, picture: Path) -> bool:
    """Soak a throw-away stack; gives whether every figure stayed level."""
    words: deque[str] = deque(maxlen=LAST_LINES)
    done, finished = asyncio.Event(), False  # a signal sets `done` as well
    measured: list[Sample] = []
    loads: list[Load] = []

    with demo.throw_away_home() as home:

        async def work(settings: Settings, api: Clients, _first: bool) -> None:
            nonlocal finished
            loads.append(Load(api, rate, named_share))
            await loads[0].prepare()
            print(f"{rate} scans a second for {for_s:g} s", flush=True)
            await _measured(settings, home, loads[0], for_s, measured)
            finished = True
            done.set()

        try:
            environ = demo.settings_for(os.environ)
            await run.run(home, environ, work, until=done, report=words.append, show=words.append)
        except BaseException:
            print("\n".join(f"    {line}" for line in words), file=sys.stderr)
            raise
    if not finished:
        print("Stopped before it was done.")
        return False
    return _report(measured, loads[0], rate, picture)


async def _measured(
    settings: Settings, home: Path, load: Load, for_s: float, measured: list[Sample]
) -> None:
    """Run the load and take a sample every second until it ends."""
    redis = connect(settings.redis_url)
    clock = asyncio.get_running_loop().time
    begun_s = clock()
    running = asyncio.create_task(load.run(for_s))
    try:
        ended = False
        while not ended:
            ended = running.done()  # the last sample is taken when all is answered
            found = await samples.read_sample(redis, settings.shards, home, clock() - begun_s)
            measured.append(found)
            if len(measured) % SAID_EVERY == 0:
                print(_progress(found, load), flush=True)
            await asyncio.wait([running], timeout=EVERY_S)
        await running
    finally:
        await end(running)
        await redis.aclose()


def _progress(sample: Sample, load: Load) -> str:
    figures = sample.figures
    return (
        f"{sample.at_s:5.0f} s  {load.accepted:8,} accepted {load.failed:4} failed "
        f"{load.not_sent:4} not sent  {figures[samples.ENTRIES]:8,.0f} entries "
        f"{figures[samples.PENDING]:5,.0f} pending  {figures[samples.REDIS_BYTES] / MIB:7.1f} MiB"
    )


def _report(measured: Sequence[Sample], load: Load, rate: int, picture: Path) -> bool:
    """Print the table and draw the picture; gives whether every figure stayed level."""
    found = samples.trends(measured)
    print(f"\n{'':26}{'first':>12}{'last':>12}{'most':>12}{'an hour':>14}")
    for trend in found:
        print(_row(trend))
    growing = [trend.name for trend in found if trend.grows]
    took_s = measured[-1].at_s
    if took_s < samples.JUDGED_FROM_S:
        print(f"Too short to judge: {samples.JUDGED_FROM_S:g} s at least.")
    else:
        print(f"Growing: {', '.join(growing)}." if growing else "Every figure is level.")
    said = f"{took_s / 60:.0f} minutes at {rate} scans a second: {load.accepted:,} accepted"
    said += f", {load.failed} failed, {load.not_sent} not sent in time"
    picture.write_text(drawing.draw("Memory under constant load", said, _panels(measured)))
    print(f"{said}. Drawn in {picture}.")
    return not growing


def _row(trend: Trend) -> str:
    unit, decimals = (1.0, 0) if trend.name in samples.COUNTS else (MIB, 1)
    values = (trend.first, trend.last, trend.maximum)
    shown = "".join(f"{value / unit:12,.{decimals}f}" for value in values)
    mib = "" if unit == 1.0 else " MiB"
    return f"{trend.name:26}{shown}{trend.per_hour / unit:+14,.{decimals}f}{mib}"


def _panels(measured: Sequence[Sample]) -> list[drawing.Panel]:
    def line(name: str, unit: float) -> drawing.Line:
        return drawing.Line(name, [(at.at_s, at.figures[name] / unit) for at in measured])

    processes = [
        (at.at_s, sum(v for name, v in at.figures.items() if name.startswith("resident")) / MIB)
        for at in measured
    ]
    return [
        drawing.Panel("entries", [line(samples.ENTRIES, 1), line(samples.PENDING, 1)]),
        drawing.Panel("MiB", [line(samples.REDIS_BYTES, MIB), line(samples.STREAM_BYTES, MIB)]),
        drawing.Panel("MiB", [drawing.Line("resident: Redis and all processes", processes)]),
    ]


@click.command()
@click.option("--minutes", type=click.FloatRange(min=0.05), default=10.0, show_default=True)
@click.option("--rate", type=click.IntRange(1, 5000), default=200, show_default=True)
@click.option("--named", type=click.FloatRange(0, 1), default=0.0, help="Share of scans with ids.")
@click.option("--picture", type=click.Path(path_type=Path), default=Path("docs/memory.svg"))
def main(minutes: float, rate: int, named: float, picture: Path) -> None:
    """Soak a throw-away stack with RATE scans a second for MINUTES minutes."""
    if not carry_out(soak(60 * minutes, rate, named, picture)):
        sys.exit(1)


if __name__ == "__main__":
    main()
