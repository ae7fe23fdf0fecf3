"""The embedded EVM development chain: anvil, its state kept in a file."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Callable
from pathlib import Path

from voketag.stack.chain_state import STATE_INTERVAL_S, keep_good_copies, repair
from voketag.stack.home import StackError, make_private
from voketag.stack.program import Program, Server, exchange, server_environ

CHAIN_ID = 31337
REPOSITORY = Path(__file__).parents[2]
PROBE = b'{"jsonrpc":"2.0","id":1,"method":"eth_chainId","params":[]}'


def find_binary() -> Path:
    """The anvil that npm installed for this machine, else the one on PATH."""
    for binary in REPOSITORY.glob("node_modules/@foundry-rs/anvil-*/bin/anvil"):
        return binary
    if (on_path := shutil.which("anvil")) is not None:
        return Path(on_path)
    raise StackError(
        "anvil, the development chain, is not installed: run `make run` or `make test`, which "
        "install it, or set VOKETAG_CHAIN_URL."
    )


def server(
    home: Path, port: int, confirmations: int, binary: Path, report: Callable[[str], None]
) -> Server:
    """The chain that keeps its state in `home`/chain.

    A block is made for every transaction; where more than one confirmation is asked for, one each
    second, since otherwise nothing would ever be confirmed.
    """
    state = home / "chain" / "state.json"

    async def prepare() -> None:
        make_private(state.parent)
        repair(state, report)

    async def ready() -> bool:
        return await _answers(port)

    async def beside() -> None:
        await keep_good_copies(state)

    return Server(
        Program(
            name="chain",
            argv=_command_line(binary, port, state, confirmations),
            environ=server_environ(home),
            log=home / "logs" / "chain.log",
            # It writes its state on the way out on either signal.
            stop_signal=signal.SIGINT,
            orphaned=signal.SIGINT,
            prepare=prepare,
            ready=ready,
            beside=beside,
        ),
        variable="VOKETAG_CHAIN_URL",
        url=f"http://127.0.0.1:{port}",
    )


def _command_line(binary: Path, port: int, state: Path, confirmations: int) -> tuple[str, ...]:
    return (
        *(str(binary), "--quiet", "--host", "127.0.0.1", "--port", str(port)),
        *("--chain-id", str(CHAIN_ID), "--slots-in-an-epoch", "2"),
        *("--state", str(state), "--state-interval", str(STATE_INTERVAL_S)),
        *(("--block-time", "1", "--mixed-mining") if confirmations > 1 else ()),
    )


async def _answers(port: int) -> bool:
    """Whether it answers a JSON-RPC request."""
    head = f"POST / HTTP/1.0\r\nContent-Type: application/json\r\nContent-Length: {len(PROBE)}"
    return hex(CHAIN_ID).encode() in await exchange(port, head.encode() + b"\r\n\r\n" + PROBE)
