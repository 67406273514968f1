"""The command `canary`. Only typer is imported here: each command imports what it needs when it runs."""

from __future__ import annotations

import sys
from collections.abc import Callable

import typer

from canary.cli import decisions, journal, local, looking, plan, review, running, sandbox, starting, vault

app = typer.Typer(
    name="canary",
    help="Runs a deployment runbook: staging, canary, full, and back by itself when it must.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    # Help in plain text: to draw it with rich takes longer than all the rest.
    rich_markup_mode=None,
)
GROUPS = {
    "plan": plan.app,
    "sandbox": sandbox.app,
    "blocks": starting.blocks,
    "journal": journal.app,
    "vault": vault.app,
}
for group_name, group in GROUPS.items():
    group.rich_markup_mode = None
    app.add_typer(group, name=group_name)
COMMANDS: dict[str, Callable[..., None]] = {
    **local.COMMANDS,
    **starting.COMMANDS,
    **running.COMMANDS,
    **looking.COMMANDS,
    **review.COMMANDS,
    **decisions.COMMANDS,
}
for name, command in COMMANDS.items():
    app.command(name)(command)


def main() -> None:
    """Run, and turn our errors into a message and an exit code: never a traceback for what we foresaw."""
    from canary.errors import CanaryError

    try:
        app()
    except CanaryError as error:
        sys.stderr.write(f"error: {error}\n")
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        sys.exit(130)


if __name__ == "__main__":
    main()
