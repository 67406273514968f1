"""One round: its rollouts are started, each is struck at its boundary, and their ends are waited for."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import time
from collections.abc import AsyncIterator, Coroutine, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any
from uuid import UUID

import asyncpg  # type: ignore[import-untyped]
import httpx
from psutil import pid_exists

from bench.chaos.real import facts as f
from bench.chaos.real.programs import flow_processes, send
from bench.chaos.real.script import Kill, Part, Round
from bench.chaos.real.stage import Stage
from bench.chaos.real.troubles import trouble
from bench.chaos.real.wire import Wire
from canary.errors import CanaryError
from canary.journal.store import SqlJournal
from canary.ports import Entry

AWAY = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError)
"""Postgres may be what is struck."""
LOOK_EVERY = 0.3
APART = 4.0
"""Seconds between two starts: about as long as a processor needs for a flow's, so that those who come again for the
killed come in time."""
PATIENCE = 300.0
"""Seconds for a rollout, from its start: longer than every recovery, a hold included."""
SETTLES = 4.0
"""Seconds behind the last end before the last look: users' answers are told once a second."""
LEAVES_WITHIN = 4.0
"""Seconds for a flow to end when its rollout has: of the first report, which comes behind, nothing is shown here."""
PREFECT_FORGIVES = 45.0
"""Seconds without a process for a run that Prefect calls neither ended nor begun: a worker that died left it so."""


@dataclass
class Armed:
    """A kill that waits for a line to be journaled, the nth from now. met: whether the process was there."""

    kill: Kill
    left: int
    met: asyncio.Future[bool]


@dataclass
class Running:
    """One rollout under way, as far as it is known."""

    part: Part
    rollout: str
    stable: str
    began_at: float
    run: str = ""
    pid: int = 0
    lines: list[Entry] = field(default_factory=list)
    told_at: dict[int, float] = field(default_factory=dict)
    struck: list[f.Struck] = field(default_factory=list)
    over_at: float = 0.0
    armed: Armed | None = None
    killed: set[int] = field(default_factory=set)
    overran: bool = False

    @property
    def in_time(self) -> bool:
        return time.time() < self.began_at + PATIENCE

    @property
    def ended(self) -> bool:
        return any(line.type == "rollout_ended" for line in self.lines)


class Play:
    """The stage, and the journal as it is told. `rounds` may be played one after the other."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.journal = SqlJournal(stage.journal_url, answer_within=5.0)
        self.wire = None if "postgres" not in stage.programs else Wire(stage.journal_url, self._told)
        self._running: dict[str, Running] = {}
        self._after: set[asyncio.Task[None]] = set()
        self._http = httpx.AsyncClient(base_url=stage.proxy, trust_env=False)

    @classmethod
    @asynccontextmanager
    async def on(cls, stage: Stage) -> AsyncIterator[Play]:
        """Listening until the end of the block."""
        play, listening = cls(stage), None
        if play.wire:
            await play.wire.set_up()
            listening = asyncio.create_task(play.wire.listen())
        try:
            yield play
        finally:
            if listening:
                listening.cancel()
                await asyncio.gather(listening, return_exceptions=True)
            await play._http.aclose()
            await play.journal.close()

    async def play(self, round_: Round) -> list[f.Facts]:
        """All of it; a flow that is left over is ended."""
        log = f.read_log(self.stage.log)
        self._running = {}
        for n, part in enumerate(sorted(round_.parts, key=lambda part: -len(part.kills))):
            stable = f.serving(log, part.service)
            rollout = f"{part.service}-{round_.number}-{int(time.time())}"
            self._running[rollout] = Running(part, rollout, stable, time.time() + n * APART)
        watching = [asyncio.create_task(work) for each in self._running.values() for work in self._watched(each)]
        befalling = asyncio.create_task(trouble(round_, self.stage, list(self._running.values())))
        try:
            await asyncio.gather(*(self._start(each) for each in self._running.values()))
            await asyncio.gather(*(self._until_over(each) for each in self._running.values()))
            full = await befalling
        finally:
            for task in watching:
                task.cancel()
            await asyncio.gather(*watching, return_exceptions=True)
            befalling.cancel()
            await self._put_right()
        await asyncio.sleep(SETTLES)
        silent = [*([full] if full else []), *self._postgres_away()]
        return [replace(self._facts(each), silent=silent) for each in self._running.values()]

    def _postgres_away(self) -> Iterator[f.Span]:
        for struck in (s for each in self._running.values() for s in each.struck):
            if struck.kill.victim == "postgres" and struck.back_at:
                yield struck.at, struck.back_at

    # --- starting and following ---------------------------------------------------------------------------

    async def _start(self, each: Running) -> None:
        from canary.cli.deploying import start_run

        plan = self.stage.plans[each.part.service]
        await asyncio.sleep(each.began_at - time.time())
        while each.in_time and not each.run:
            # What another rollout's kill has taken away comes back; the run's key makes it one run.
            with contextlib.suppress(Exception):
                each.run = await start_run(plan, self.journal, each.part.version, "chaos", each.rollout)
            await asyncio.sleep(0.0 if each.run else 1.0)

    def _watched(self, each: Running) -> Sequence[Coroutine[Any, Any, None]]:
        return [self._follow(each), self._find(each), self._kills(each)]

    async def _follow(self, each: Running) -> None:
        while True:
            await self._pull(each)
            await asyncio.sleep(LOOK_EVERY)

    async def _pull(self, each: Running) -> None:
        with contextlib.suppress(CanaryError):
            found = await self.journal.read(each.rollout, len(each.lines))
            if found and found[0].seq == len(each.lines) + 1:
                each.lines.extend(found)

    async def _find(self, each: Running) -> None:
        """The flow's process, which no line names before it holds the lock."""
        while each.pid == 0:
            if each.run:
                runs = await asyncio.to_thread(flow_processes, self.stage.home)
                each.pid = next((pid for pid, run in runs.items() if run == each.run), each.pid)
            await asyncio.sleep(LOOK_EVERY)

    def _told(self, payload: str) -> None:
        line = json.loads(payload)
        each = self._running.get(line["rollout"])
        if each is None:
            return
        each.told_at[line["seq"]] = time.time()
        pid = int((line["holder"] or "0").rpartition(":")[2])
        if pid and pid != self.stage.programs["guard"].pid:
            each.pid = pid
        if each.armed and each.armed.kill.boundary == line["name"]:
            each.armed.left -= 1
            if not each.armed.left:
                armed, each.armed = each.armed, None
                armed.met.set_result(self._strike(each, armed.kill, line["seq"]))

    async def _until_over(self, each: Running) -> None:
        """And its service is free for the next."""
        while each.in_time and not (each.ended or await self._never_begun(each)):  # noqa: ASYNC110 - other processes
            await asyncio.sleep(LOOK_EVERY)
        each.over_at = time.time()
        while each.in_time and not await self._free(each):  # noqa: ASYNC110 - other processes
            await asyncio.sleep(LOOK_EVERY)
        each.overran = not each.in_time

    async def _free(self, each: Running) -> bool:
        with contextlib.suppress(CanaryError):
            return all(lock.rollout != each.rollout for lock in await self.journal.locks())
        return False

    async def _never_begun(self, each: Running) -> bool:
        """Whether its run has ended before anybody took the lock."""
        from prefect.client.orchestration import get_client

        if not each.run or any(line.type == "conductor_took" for line in each.lines):
            return False
        try:
            async with asyncio.timeout(2), get_client() as client:
                run = await client.read_flow_run(UUID(each.run))
        except Exception:
            return False
        if run.state is None or each.run in flow_processes(self.stage.home).values():
            return False
        quiet = time.time() > self._last_strike() + PREFECT_FORGIVES
        return run.state.is_final() or (bool(each.struck) and quiet)

    def _last_strike(self) -> float:
        """When anything was struck, or came back, for the last time."""
        return max((s.back_at or s.at for each in self._running.values() for s in each.struck), default=0.0)

    # --- striking -----------------------------------------------------------------------------------------

    async def _kills(self, each: Running) -> None:
        """One behind the other. What came by without its victim, a line of one that was dying, is waited for again."""
        for kill in each.part.kills:
            while not await self._had_its_moment(each, kill):  # noqa: ASYNC110 - it waits by itself
                await asyncio.sleep(0.05)

    async def _had_its_moment(self, each: Running, kill: Kill) -> bool:
        if kill.boundary.startswith("expose"):
            return await self._at_envoy(each, kill)
        if kill.side == "after" or self.wire is None:
            each.armed = Armed(kill, kill.nth, asyncio.get_running_loop().create_future())
            return await each.armed.met
        key = list(self._running).index(each.rollout)
        with contextlib.suppress(*AWAY):
            held = partial(self._struck_in_hold, each, kill)
            return await self.wire.hold(each.rollout, kill.boundary, kill.nth, key, held)
        return False

    async def _struck_in_hold(self, each: Running, kill: Kill) -> bool:
        struck = self._strike(each, kill, len(each.told_at))
        await asyncio.sleep(0.02)
        return struck

    async def _at_envoy(self, each: Running, kill: Kill) -> bool:
        """The change is held up, the process is struck, and the change goes on, unless nobody had sent it yet."""
        service, direction = each.part.service, kill.boundary.partition(" ")[2]
        struck = False
        with self.stage.log.open() as log:
            log.seek(0, os.SEEK_END)
            await self._http.put(f"/{service}/hold", json={"direction": direction, "side": kill.side})
            try:
                # Another process writes: no event tells it.
                while not any('"held"' in line and f'"{service}"' in line for line in log):  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
                struck = self._strike(each, kill, len(each.lines))
                await asyncio.sleep(0.02)
            finally:
                dead = struck and kill.side == "before" and kill.victim == "flow" and kill.signal == "KILL"
                await self._http.post(f"/{service}/release", json={"forward": not dead})
        return struck

    def _strike(self, each: Running, kill: Kill, seq: int) -> bool:
        """At once; what follows is done beside. False when there was nobody to strike: it died of something else
        before, and the guard, or what the dead process had sent, has brought the rollout here."""
        program = self.stage.programs.get(kill.victim)
        pid = program.pid if program else each.pid
        if not pid or pid in each.killed or not pid_exists(pid):
            return False
        if program:
            program.strike(kill.signal)
        else:
            send(pid, kill.signal)
            each.killed |= {pid} if kill.signal == "KILL" else set()
        each.struck.append(f.Struck(kill, time.time(), seq, pid))
        task = asyncio.create_task(self._afterwards(each, len(each.struck) - 1))
        self._after.add(task)
        task.add_done_callback(self._after.discard)
        return True

    async def _afterwards(self, each: Running, number: int) -> None:
        """A stopped process goes on, a program that was ended comes back; a flow does not."""
        struck = each.struck[number]
        await asyncio.sleep(struck.kill.lasts)
        program = self.stage.programs.get(struck.kill.victim)
        if struck.kill.signal == "STOP":
            program.strike("CONT") if program else send(struck.pid, "CONT")
        elif program:
            # What was asked to end and waits for others is ended: as people do it.
            await program.end()
            await program.start()
        else:
            return
        each.struck[number] = replace(struck, back_at=time.time())

    async def _put_right(self) -> None:
        """All programs run again, and no flow is left."""
        await asyncio.gather(*self._after, return_exceptions=True)
        for each in self._running.values():
            await self._http.post(f"/{each.part.service}/release", json={"forward": True})
        until = time.time() + LEAVES_WITHIN
        while (left := flow_processes(self.stage.home)) and time.time() < until:  # noqa: ASYNC110 - other processes
            await asyncio.sleep(LOOK_EVERY)
        for pid in left:
            send(pid, "KILL")
        for each in self._running.values():
            await self._pull(each)

    def _facts(self, each: Running) -> f.Facts:
        log = f.read_log(self.stage.log)
        return f.Facts(
            service=each.part.service,
            rollout=each.rollout,
            version=each.part.version,
            stable=each.stable,
            began_at=each.began_at,
            over_at=each.over_at or time.time(),
            looked_at=time.time(),
            lines=tuple(each.lines),
            told_at=dict(each.told_at),
            weights=tuple(f.weights(log, each.part.service, each.part.version)),
            answers=tuple(f.answers(log, each.part.service, each.began_at)),
            struck=tuple(each.struck),
            overran=each.overran,
        )
