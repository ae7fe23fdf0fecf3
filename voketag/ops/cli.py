"""The command `voketag`. Each command is a few lines here; what it does stands in its own module,
which is loaded when it is asked for.
"""

from __future__ import annotations

import json
import os
import sys
import time
from typing import BinaryIO

import click

from voketag.ops import instance
from voketag.ops.cli_dead import dead
from voketag.ops.cli_streams import streams
from voketag.ops.cli_tail import tail
from voketag.ops.command import FAILED, carry_out, checked_formation, fail
from voketag.roles import ROLES, Role


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="voketag")
def main() -> None:
    """VokeTag proves that a physical product is genuine.

    Settings are VOKETAG_ variables of the environment; docs/settings.md describes each.
    """


main.add_command(dead)
main.add_command(streams)
main.add_command(tail)


@main.command()
@click.option("--demo/--no-demo", default=True, help="Make a demo factory on the first start.")
@click.option(
    "--formation",
    metavar="NAME=COPIES,...",
    callback=checked_formation,
    help="How many copies of which processes, such as scan=2,score=2; one each of the others.",
)
def run(demo: bool, formation: str | None) -> None:
    """Start the whole system: servers, schema and every process; Ctrl-C stops it.

    Redis, Postgres and a development chain are embedded where VOKETAG_REDIS_URL,
    VOKETAG_DATABASE_URL and VOKETAG_CHAIN_URL do not name others. Data are kept in VOKETAG_HOME.
    --formation goes before VOKETAG_FORMATION.
    """
    started_s = time.monotonic()
    from voketag.ops.clients import Clients
    from voketag.ops.run import run as run_all
    from voketag.ops.welcome import welcome
    from voketag.settings import Settings

    async def when_ready(settings: Settings, api: Clients, first: bool) -> None:
        await welcome(settings, api, first=first, with_demo=demo, started_s=started_s)

    asked = {} if formation is None else {"VOKETAG_FORMATION": formation}
    carry_out(run_all(instance.home_of(os.environ), os.environ | asked, when_ready))


@main.command()
@click.argument("names", nargs=-1, metavar="[NAME]...")
def restart(names: tuple[str, ...]) -> None:
    """Replace the processes of a running VokeTag one by one, without a request that fails.

    Every copy of those called NAME in the Procfile, one copy called scan.2, or all; its servers run
    on. A successor, which has the code as it is now, takes over once it is ready. If it does not
    get ready the old process stays and nothing further is replaced.
    """
    from voketag.ops.restart import restart as restart_all

    carry_out(restart_all(os.environ, names))


@main.command()
def demo() -> None:
    """Run the main job once against a throw-away stack: from a batch to a proof on the chain.

    Exits with 0 where everything went as it should; else says what failed.
    """
    from voketag.ops.demo import demo as run_demo

    if not carry_out(run_demo(os.environ)):
        sys.exit(FAILED)


@main.command()
def migrate() -> None:
    """Bring a database to this program's schema; safe to repeat.

    The database is VOKETAG_DATABASE_URL's, else that of the VokeTag that runs on VOKETAG_HOME.
    `voketag run` does this by itself.
    """
    from voketag.ops.run import migrate as apply

    async def work() -> None:
        applied = await apply(instance.find(os.environ).database_url)
        click.echo(f"The schema is up to date. Applied now: {', '.join(applied) or 'schema.sql'}.")

    carry_out(work())


@main.group()
def factory() -> None:
    """Factories: who may push batches."""


@factory.command("create")
@click.argument("name")
@click.argument("email")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def factory_create(name: str, email: str, as_json: bool) -> None:
    """Create a factory called NAME; prints its id and its API key, which is shown this once."""
    from voketag.ops.factories import create

    factory_id, key = carry_out(create(os.environ, name, email))
    if as_json:
        click.echo(json.dumps({"factory_id": str(factory_id), "api_key": key}))
    else:
        click.echo(f"factory_id  {factory_id}")
        click.echo(f"api_key     {key}")
        click.echo("The key is not kept: it is shown this once.", err=True)


@main.group()
def operator() -> None:
    """Operators: who may use ops, and with which role."""


@operator.command("create")
@click.argument("name")
@click.argument("role", type=click.Choice(ROLES))
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def operator_create(name: str, role: Role, as_json: bool) -> None:
    """Create an operator called NAME; prints the id and the key to sign in with, this once.

    A viewer reads what leads to no person, an analyst also reads and changes reports, an admin does
    everything.
    """
    from voketag.ops.operators import create

    operator_id, key = carry_out(create(os.environ, name, role))
    if as_json:
        click.echo(json.dumps({"operator_id": str(operator_id), "api_key": key}))
    else:
        click.echo(f"operator_id  {operator_id}")
        click.echo(f"api_key      {key}")
        click.echo("The key is not kept: it is shown this once.", err=True)


@main.command()
@click.argument("proof", type=click.File("rb"))
@click.option("--rpc", "rpc_url", metavar="URL", help="Also ask this chain (JSON-RPC).")
@click.option("--contract", metavar="ADDRESS", help="The registry, from a source that you trust.")
def verify(proof: BinaryIO, rpc_url: str | None, contract: str | None) -> None:
    """Check a proof bundle: the file PROOF, or standard input for `-`.

    Without --rpc, that its content leads to its root. With it, that the chain's registry anchored
    that root, when and in which transaction. Exits with 0 where every check holds, else with 1.
    """
    from voketag.ops import verify as verifying
    from voketag.proofs import ProofFault

    try:
        bundle = verifying.read(proof.read())
    except ProofFault as fault:
        fail(str(fault))
    checks = list(verifying.offline(bundle))
    if rpc_url is not None and all(check.holds for check in checks):
        checks += carry_out(verifying.on_chain(bundle, rpc_url, contract))
    for check in checks:
        click.echo(f"{'✓' if check.holds else '✗'} {check.text}")
    if not all(check.holds for check in checks):
        sys.exit(FAILED)
    if rpc_url is None:
        click.echo("Not checked: whether a chain holds this root; --rpc URL asks one.", err=True)
    elif contract is None:
        click.echo(
            f"Warning: the contract {bundle.contract} is the bundle's own claim. Whoever made the "
            "bundle may have made the contract too: give --contract with the registry's address "
            "from a source that you trust.",
            err=True,
        )


@main.command()
def asyncapi() -> None:
    """Print the AsyncAPI document of the streams."""
    from voketag.asyncapi import as_json

    click.echo(as_json().decode(), nl=False)
