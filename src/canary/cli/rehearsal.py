"""The demo: all parts started, one rollout started through Prefect, a fault switched on, the end waited for."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from importlib.resources import as_file, files
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import uuid4

from rich.console import Console

from canary.cli import platforms
from canary.cli.following import follow, tell
from canary.cli.parts import Parts, prefect_server, worker_and_guard
from canary.cli.progress import busy
from canary.cli.store import WallClock, journal
from canary.errors import BadUsage, CanaryError
from canary.journal.shelf import FolderShelf
from canary.journal.store import SqlJournal
from canary.plan.load import LoadedPlan, load_plan
from canary.plan.model import UiCheck
from canary.rollout import events as e
from canary.rollout.people import enter
from canary.rollout.state import State
from canary.sandbox.control import Sandbox
from canary.sandbox.wire import FAULTS
from canary.settings import Settings

VERSION = "2.1.0"
FAULT_AFTER = 1.0
"""Seconds of healthy canary before the demo's fault is switched on."""
REVIEW_PATIENCE = 60.0
"""Seconds after its due time in which a scheduled review should have run."""
LOCAL = "demo.yaml"
"""The overlay that binds the plan to the sandbox alone."""
console = Console(stderr=True)


async def rehearse(fault: str, providers: bool = False) -> State | None:
    """One rollout with that fault, on parts of this machine; the state at its end."""
    _check_fault(fault)
    home, overlay = Settings.from_env(os.environ).home, platforms.OVERLAY if providers else LOCAL
    async with _parts(home, overlay) as parts, journal() as opened:
        from canary.cli.deploying import start_run

        rollout = f"demo-{uuid4().hex[:8]}"
        await start_run(_demo_plan(overlay), opened, VERSION, "the demo", rollout)
        _say(f"rollout {rollout} started; Prefect UI (while the demo runs): {parts.ui}")
        if lacking := _lacking():
            _say(f"the checks in a browser are skipped: {lacking}")
        _say(f"approvals are granted by plans/{overlay} itself: nobody is asked")
        if on := parts.sandbox.state.platforms:
            _say(f"{platforms.OPENING}\nwhere they stand (while the demo runs): {on.page}")
        with busy(f"{rollout} is under way; Ctrl-C aborts it", console):
            state = await _abort_on_ctrl_c(opened, rollout, _watch(opened, rollout, parts.sandbox, fault))
            if state.without_a_feature:
                await _let_go(opened, rollout, state.seq)
        if providers:
            await _tell_platforms(home, rollout, parts.sandbox)
    _where_to_look(rollout)
    return state


async def stay_up(as_json: bool) -> None:
    """Everything running, until Ctrl-C; then rollouts under way are aborted first."""
    home = Settings.from_env(os.environ).home
    async with _parts(home) as parts, journal() as opened:
        told = {"ui": parts.ui, "router": parts.sandbox.state.router_url, "plan": _demo_plan().plan.name}
        if as_json:
            sys.stdout.write(json.dumps(told) + "\n")
            sys.stdout.flush()
        _say(f"Prefect UI: {parts.ui}/deployments (start rollout/{told['plan']} there, version {VERSION})")
        _say(f"the service as users see it: {told['router']}; break it: canary sandbox fault errors")
        _say("Ctrl-C ends everything")
        stop = _interrupted()
        await stop.wait()
        for lock in await opened.locks():
            _say(f"aborting {lock.rollout} first")
            await _abort(opened, lock.rollout)
            await _until_ended(opened, lock.rollout)


def _check_fault(fault: str) -> None:
    if fault not in FAULTS:
        from difflib import get_close_matches

        near = get_close_matches(fault, FAULTS, 1)
        hint = f"did you mean {near[0]}? " if near else ""
        raise BadUsage(f"no fault {fault!r}", f"{hint}the faults are {', '.join(FAULTS)}")


@asynccontextmanager
async def _parts(home: Path, overlay: str = LOCAL) -> AsyncIterator[Parts]:
    """Sandbox and Prefect server side by side, then blocks, deployments, worker and guard."""
    async with AsyncExitStack() as stack:
        os.environ["CANARY_EVIDENCE"] = str(stack.enter_context(_evidence()))
        with busy("starting sandbox (Envoy, two servers, users) and Prefect server", console):
            sandbox, ui = await asyncio.gather(
                stack.enter_async_context(_sandbox(home, overlay)), stack.enter_async_context(prefect_server(home))
            )
        with busy("making blocks and deployments, starting worker and guard", console):
            async with journal() as opened:
                await _end_leftovers(opened)
                await _blocks_and_deployments(opened, sandbox, overlay)
            if on := sandbox.state.platforms:
                platforms.lead_browser(home, on)
            children = await stack.enter_async_context(worker_and_guard(home))
            await _until_polled()
        try:
            yield Parts(sandbox, ui, children)
        finally:
            with busy("stopping everything", console):
                await stack.aclose()


@contextmanager
def _evidence() -> Iterator[Path]:
    """The example service's folder of evidence, beside the plans."""
    with as_file(files("canary.plans") / "phase1.yaml") as plan:
        yield plan.with_name("evidence")


@asynccontextmanager
async def _sandbox(home: Path, overlay: str) -> AsyncIterator[Sandbox]:
    sandbox = await Sandbox.start(home, platforms=overlay == platforms.OVERLAY)
    try:
        yield sandbox
    finally:
        await sandbox.stop()


async def _end_leftovers(opened: SqlJournal) -> None:
    """A rollout that an earlier sandbox took with it serves nobody any more: said, and its service freed."""
    for lock in await opened.locks():
        if lock.service == _demo_plan().plan.service and lock.lease_until < WallClock().now():
            taken = await opened.take(lock.service, lock.rollout, "demo", WallClock().now(), 20.0)
            reason = "the sandbox it ran on is gone"
            ended = e.RolloutEnded(outcome="unverified", phase="", reason=reason, verified=False)
            seq = (await opened.read(lock.rollout))[-1].seq
            await opened.append(lock.rollout, seq, [ended.entry(WallClock().now())], taken)
            await opened.release(taken)


async def _blocks_and_deployments(opened: SqlJournal, sandbox: Sandbox, overlay: str) -> None:
    from canary.blocks.registry import save
    from canary.cli.deploying import deploy

    for ref, fields in sandbox.block_fields().items():
        await save(ref, fields)
    await deploy(opened, _demo_plan(overlay))


async def _until_polled() -> None:
    from prefect.client.orchestration import get_client

    from canary.cli.deploying import has_worker

    async with get_client() as client:
        for _ in range(200):
            if await has_worker(client):
                return
            await asyncio.sleep(0.3)
    raise CanaryError("the worker did not start to poll", "its log says why: $CANARY_HOME/prefect/worker.log")


def _demo_plan(overlay: str = LOCAL) -> LoadedPlan:
    """Where no page can be visited it goes without the checks that do."""
    with as_file(files("canary.plans") / overlay) as path:
        loaded = load_plan(path)
        names = [check.name for check in loaded.plan.checks if isinstance(check, UiCheck)] if _lacking() else []
        if not names:
            return loaded
        with TemporaryDirectory() as folder:
            without = Path(folder) / "without.yaml"
            without.write_text(json.dumps({"overlay": str(path.with_name("phase1.yaml")), "without": names}))
            return load_plan(path, [without])


def _lacking() -> str:
    """What to install before pages can be visited; "" when nothing. Prefect, which the adapters import, reads its
    settings once: after the demo has set them."""
    from canary.blocks.browser import missing

    return missing()


async def _watch(opened: SqlJournal, rollout: str, sandbox: Sandbox, fault: str) -> State:
    """Tell every line; switch the fault on once users are on the candidate; wait for the end and the reviews."""
    broken: asyncio.Task[None] | None = None
    async for state, event in follow(opened, rollout):
        tell(state, event)
        if sandbox.state.platforms and (said := platforms.standing(event)):
            _say(f"          {said}")
        if isinstance(event, e.SoakStarted) and state.raised and fault != "none" and broken is None:
            broken = asyncio.create_task(_break(sandbox, fault))
        if event is None and (state.without_a_feature or (state.ended and _reviewed(state))):
            return state
    raise AssertionError("a journal is followed until its rollout ends")


async def _let_go(opened: SqlJournal, rollout: str, known: int) -> None:
    """What is held waits for a person; the demo, which takes everything down now, leaves nothing half-way."""
    _say("here a person decides: canary resume, promote or rollback. The demo ends, and takes the rest back")
    await _abort(opened, rollout, "the end of the demo", "the demo is over, and nobody is left to decide")
    await _until_ended(opened, rollout, known)


async def _break(sandbox: Sandbox, fault: str) -> None:
    await asyncio.sleep(FAULT_AFTER)
    await sandbox.fault(fault)
    _say(f"the fault {fault!r} is switched on")


def _reviewed(state: State) -> bool:
    """Whether every planned review has run, or is hopelessly late."""
    if state.ended is None or state.ended.outcome != "promoted":
        return True
    missing = [due for offset, due in state.reviews.items() if offset not in state.reviewed]
    return not missing or WallClock().now() > max(missing) + REVIEW_PATIENCE


def _interrupted(again: Callable[[], None] = lambda: None) -> asyncio.Event:
    """Set at the first Ctrl-C or SIGTERM; every further one calls `again`."""
    event = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, lambda: again() if event.is_set() else event.set())
    return event


async def _abort_on_ctrl_c(opened: SqlJournal, rollout: str, watching: Coroutine[Any, Any, State]) -> State:
    """The first Ctrl-C aborts and waits for exposure 0; the second says what to type, and leaves."""
    watch = asyncio.ensure_future(watching)
    waiting = asyncio.ensure_future(_interrupted(lambda: _leave(rollout)).wait())
    await asyncio.wait({watch, waiting}, return_when=asyncio.FIRST_COMPLETED)
    if not watch.done():
        _say("aborting; waiting for exposure 0 (Ctrl-C again to leave at once)")
        with suppress(BadUsage):
            await _abort(opened, rollout)
    waiting.cancel()
    return await watch


def _leave(rollout: str) -> None:
    """At once, with the sandbox left running, so that what is printed can be done."""
    _say("left at once. By hand:")
    _say(f"  canary rollback {rollout} --reason 'left the demo'")
    _say("  canary sandbox down")
    console.show_cursor(True)
    os._exit(1)


async def _abort(
    opened: SqlJournal, rollout: str, how: str = "Ctrl-C on the command line", why: str = "Ctrl-C"
) -> None:
    abort = e.AbortAsked(by="the demo", how=how, reason=why)
    await enter(opened, WallClock(), rollout, abort)


async def _until_ended(opened: SqlJournal, rollout: str, known: int = 0) -> None:
    """Lines up to the `known` one were told before."""
    async for state, event in follow(opened, rollout):
        tell(state, event if state.seq > known else None)
        if event is None and state.ended:
            return


async def _tell_platforms(home: Path, rollout: str, sandbox: Sandbox) -> None:
    """What they were asked, and where they stand at the end. A rollout's outcome does not depend on it."""
    try:
        found = await sandbox.platforms()
    except CanaryError as error:
        return _say(f"what the platforms were asked is not known: {error.what}")
    for line in platforms.taken(found):
        _say(line)
    file = await FolderShelf(Settings.from_env(os.environ, home).documents).put(
        rollout, platforms.DOCUMENT, platforms.document(found)
    )
    return _say(f"where they stood at the end, and all that they were asked: {file}")


def _where_to_look(rollout: str) -> None:
    _say(f"what happened, line by line: canary journal {rollout}")
    _say(f"where it ended:              canary status {rollout}")
    _say("the same to play with, in the Prefect UI: canary up")


def _say(text: str) -> None:
    console.print(text, highlight=False, soft_wrap=True)
