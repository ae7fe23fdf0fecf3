"""`python -m screenshots`: take the pictures of docs/screenshots anew."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections import deque
from pathlib import Path

import click

from screenshots import pictures
from screenshots.camera import Camera, camera
from screenshots.crowd import Crowd
from voketag import events
from voketag.ops import demo, run
from voketag.ops.clients import Clients
from voketag.ops.command import carry_out
from voketag.redis.connection import connect
from voketag.settings import Settings
from voketag.tasks import end

QUIET_PER_S = 3
BUSY_PER_S = 400
BUSY_FOR_S = 40.0
LAST_LINES = 30


async def take(folder: Path) -> bool:
    """Take all pictures; gives whether it came to its end."""
    words: deque[str] = deque(maxlen=LAST_LINES)
    done, finished = asyncio.Event(), False  # a signal sets `done` as well
    with demo.throw_away_home() as home:

        async def work(settings: Settings, api: Clients, _first: bool) -> None:
            nonlocal finished
            crowd = Crowd(api)
            await crowd.prepare()
            await crowd.misuse()
            async with camera(folder, api.where.ops, settings.admin_key) as taking:
                await _quiet(taking, crowd, api)
                await _busy(taking, crowd)
                await _broken(taking, crowd, settings, home)
            finished = True
            done.set()

        try:
            environ = demo.settings_for(os.environ) | {"VOKETAG_SCAN_RATE_LIMIT": "0"}
            await run.run(home, environ, work, until=done, report=words.append, show=words.append)
        except BaseException:
            print("\n".join(f"    {line}" for line in words), file=sys.stderr)
            raise
    return finished


async def _quiet(taking: Camera, crowd: Crowd, api: Clients) -> None:
    print("quiet", flush=True)
    using = asyncio.create_task(crowd.use(BUSY_FOR_S, QUIET_PER_S))
    try:
        await pictures.of_consumers(taking, crowd, api.where)
        await pictures.live(taking, "live-quiet", "desktop", "light")
    finally:
        await end(using)
    await pictures.of_ops(taking, crowd)
    await pictures.of_developers(taking, api.where)


async def _busy(taking: Camera, crowd: Crowd) -> None:
    print("busy", flush=True)
    using = asyncio.create_task(crowd.use(BUSY_FOR_S, BUSY_PER_S))
    try:
        await pictures.live(taking, "live-busy", "desktop", "dark")
        await pictures.live(taking, "live-busy-phone", "phone", "light")
    finally:
        await end(using)


async def _broken(taking: Camera, crowd: Crowd, settings: Settings, home: Path) -> None:
    """persist hangs, and an entry that nobody can read has come from somewhere."""
    print("broken", flush=True)
    redis = connect(settings.redis_url)
    persist = int((home / "pids" / "persist").read_text().split()[0])
    using = asyncio.create_task(crowd.use(BUSY_FOR_S, BUSY_PER_S))
    try:
        stream = events.scans(0)
        await redis.xadd(stream, {b"v": b"1", b"event": b"{not an event}"})
        os.kill(persist, signal.SIGSTOP)
        await pictures.live(taking, "live-broken", "desktop", "light")
        await pictures.dead_letter(taking, stream)
    finally:
        os.kill(persist, signal.SIGCONT)
        await end(using)
        await redis.aclose()


@click.command()
@click.option(
    "--folder", type=click.Path(path_type=Path), default=Path("docs/screenshots"), show_default=True
)
def main(folder: Path) -> None:
    """Take the pictures of every page, of a throw-away stack."""
    folder.mkdir(parents=True, exist_ok=True)
    if not carry_out(take(folder)):
        sys.exit(1)


if __name__ == "__main__":
    main()
