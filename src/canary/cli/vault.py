"""`canary vault rotate`: the sealed credentials under another key. No Prefect."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from canary.journal.vault import Rotated

app = typer.Typer(help="The credentials that are sealed for rollbacks.", no_args_is_help=True)


@app.callback()
def vault() -> None:
    """The credentials that are sealed for rollbacks."""


@app.command()
def rotate(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Seal everything anew under the newest key.

    First put it before the old one in CANARY_VAULT_KEY (NEW,OLD) of every worker, guard and command, and start them
    anew; afterwards take the old one away.
    """
    from canary.errors import VaultError

    done = asyncio.run(_rotate())
    if as_json:
        typer.echo(json.dumps({"sealed": done.sealed, "lost": done.lost}))
    else:
        typer.echo(f"{len(done.sealed)} rollouts are sealed under the newest key")
    if done.lost:
        raise VaultError(
            f"no key given opens what is sealed for: {', '.join(done.lost)}",
            "add the key that they were sealed with to CANARY_VAULT_KEY; if it is lost, neither the guard nor "
            "canary rollback can bring these rollouts back: roll back on the platform itself",
        )


async def _rotate() -> Rotated:
    from canary.cli.store import journal
    from canary.journal.vault import open_vault

    async with journal() as opened:
        return await open_vault(opened).rotate()
