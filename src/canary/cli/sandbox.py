"""`canary sandbox up|down|fault|status`: a playground with real parts on this machine."""

from __future__ import annotations

import json
import os
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

if TYPE_CHECKING:
    from pathlib import Path

    from canary.sandbox.control import Sandbox
    from canary.sandbox.state import Status

app = typer.Typer(help="A playground with real parts: Envoy, two servers, flags, users.", no_args_is_help=True)

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
Answer = TypeVar("Answer")

_LOOK_SECONDS = 0.5


@app.command()
def up(
    rps: Annotated[float, typer.Option(min=0, help="Requests per second of the users; 0 for none.")] = 600.0,
    users: Annotated[int, typer.Option(min=1, help="How many users there are.")] = 5000,
    router_port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="The router's port; a free one if not given.")
    ] = None,
    detach: Annotated[bool, typer.Option("--detach", help="Return when it is up; it goes on.")] = False,
    as_json: AsJson = False,
) -> None:
    """Start the sandbox, and keep it until Ctrl-C."""
    from canary.sandbox.control import Sandbox

    async def run() -> None:
        starting = _started(Sandbox.start(_home(), rps=rps, users=users, router_port=router_port))
        if detach:
            _tell_up(await starting, detach, as_json)
        else:
            await _interruptible(_stay(starting, as_json))

    _finish(run(), as_json)


@app.command()
def down(as_json: AsJson = False) -> None:
    """Stop the sandbox and all its processes."""

    async def run() -> None:
        from canary.cli.progress import busy
        from canary.sandbox.control import Sandbox
        from canary.sandbox.state import check_running

        home = _home()
        check_running(home)
        with busy("stopping the sandbox"):
            await Sandbox(home).stop()
        typer.echo(json.dumps({"stopped": True}) if as_json else "sandbox stopped")

    _finish(run(), as_json)


@app.command()
def fault(
    name: Annotated[str, typer.Argument(help="none, errors, feature, latency, ui, starve or telemetry.")],
    as_json: AsJson = False,
) -> None:
    """Switch the candidate's fault while it runs; `none` ends it."""

    async def run() -> None:
        sandbox = _attach()
        await sandbox.fault(name)
        status = await sandbox.status()
        if as_json:
            typer.echo(json.dumps({"fault": status.fault, "candidate": status.candidate}))
            return
        where = f"on {status.candidate}" if status.candidate else "as soon as there is a candidate"
        typer.echo(f"fault: {status.fault}" + ("" if status.fault in ("none", "telemetry") else f", {where}"))

    _finish(run(), as_json)


@app.command()
def status(as_json: AsJson = False) -> None:
    """What runs, who sees it, and what the users saw."""

    async def run() -> None:
        seen = await _attach().status()
        typer.echo(seen.model_dump_json() if as_json else _in_words(seen))

    _finish(run(), as_json)


def _home() -> Path:
    from canary.settings import Settings

    return Settings.from_env(os.environ).home


def _attach() -> Sandbox:
    from canary.sandbox.control import Sandbox

    return Sandbox.attach(_home())


def _finish(work: Coroutine[Any, Any, Answer], as_json: bool) -> Answer:
    """Run it; an error of ours becomes its message and its exit code."""
    import asyncio

    from canary.errors import CanaryError

    try:
        return asyncio.run(work)
    except CanaryError as error:
        if as_json:
            typer.echo(json.dumps({"error": error.what, "fix": error.fix}, ensure_ascii=False))
        typer.echo(str(error), err=True)
        raise typer.Exit(error.exit_code) from None


def _tell_up(sandbox: Sandbox, detach: bool, as_json: bool) -> None:
    state = sandbox.state
    if as_json:
        typer.echo(json.dumps({"home": str(sandbox.home), "router_url": state.router_url, "pids": state.pids}))
        return
    end = "stop it with: canary sandbox down" if detach else "Ctrl-C stops it"
    typer.echo(f"docflow serves its users on {state.router_url} ({end})")


async def _started(starting: Coroutine[Any, Any, Sandbox]) -> Sandbox:
    from canary.cli.progress import busy

    with busy("starting the sandbox"):
        return await starting


async def _interruptible(work: Coroutine[Any, Any, None]) -> None:
    """Run it until it ends, or is cancelled by Ctrl-C or SIGTERM."""
    import asyncio
    import signal

    task = asyncio.create_task(work)
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    await asyncio.wait((task,))
    if not task.cancelled():
        task.result()


async def _stay(starting: Coroutine[Any, Any, Sandbox], as_json: bool) -> None:
    """Keep the sandbox until cancelled. Raises CanaryError when it ends by itself."""
    import asyncio

    from canary.errors import CanaryError
    from canary.sandbox.launch import log_file
    from canary.sandbox.state import is_running

    sandbox = await starting
    try:
        _tell_up(sandbox, False, as_json)
        while is_running(sandbox.home):  # noqa: ASYNC110 - another process ends: no event tells it
            await asyncio.sleep(_LOOK_SECONDS)
    finally:
        await sandbox.stop()
    raise CanaryError("the sandbox ended by itself", f"see {log_file(sandbox.home)}")


def _in_words(seen: Status) -> str:
    versions = ", ".join(f"{colour} {version or 'idle'}" for colour, version in seen.versions.items())
    weights = "; ".join(
        f"{layer} " + " ".join(f"{colour} {weight / 100:g} %" for colour, weight in each.items())
        for layer, each in seen.weights.items()
    )
    load = seen.load
    bad = ", ".join(f"{version} {each.bad}" for version, each in load.by_version.items()) or "none yet"
    lines = (
        f"versions   {versions} (candidate: {seen.candidate or 'none'})",
        f"users on   {weights}",
        f"flags on   {', '.join(name for name, on in seen.flags.items() if on) or 'none'}",
        f"fault      {seen.fault}",
        f"requests   {load.sent} sent, {load.server_errors} 5xx, {load.timeouts} timed out, {load.shed} shed",
        f"bad seen   {bad}",
    )
    return "\n".join(lines)
