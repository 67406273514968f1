"""How soon a bad or aborted canary has no users any more: on a real Envoy, conducted without Prefect.

    python -m bench.reaction [--runs N] [--aborts N] [--outages N] [--json OUT]

Each run is a whole rollout on one sandbox (600 requests a second, 10 % on the candidate), with the phases, rules and
targets of plans/demo.yaml, but staging is cut to its preparation and nobody is asked. Conductor, SQLite journal and
sealed credentials are those of a release.

fail:  the candidate answers 30 % of its requests with 5xx. From the judge's first FAIL (the return of its call) until
       a read of Envoy's admin API, repeated every 5 ms by the same process, shows weight 0 for the candidate in every
       layer. `bad` counts the 5xx that its users got, from the first one on, until half a second after that. The plan's
       time runs 75 times as fast, time-outs and leases do not: the judge is asked every 0.2 s, in a release every
       15 s, in which more of them are served.
abort: from before the line is appended to the journal by another connection until the same read, so that the
       conductor's wait for news is in it, at the pace of a release. The moment of the abort
       is spread evenly over that wait, by a seed.
outage: as fail, but everybody is told through Slack, which answers nothing from the canary's first block on. It
       should make no difference.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

import httpx

from canary.blocks.opener import CLOCK, OPENER
from canary.journal.shelf import FolderShelf
from canary.journal.spool import Spool
from canary.journal.store import open_journal
from canary.journal.vault import open_vault
from canary.judge.evidence import Evidence
from canary.judge.literal import Judge
from canary.judge.verdict import Outcome, PhaseVerdict
from canary.plan.load import load_plan
from canary.plan.model import Rule
from canary.ports import StoredPlan
from canary.rollout.conducting import Start, Stores, begin, conducting, pass_preflight, taking
from canary.rollout.conductor import Conductor
from canary.rollout.events import AbortAsked
from canary.rollout.people import enter
from canary.sandbox.control import Sandbox
from canary.sandbox.wire import LAYERS, Colour
from canary.testing.slack import SlackServer, slack_server

CAUSES = ("fail", "abort", "outage")
SLACK = "slack/bench"
NEVER = 3600.0
LOOK_EVERY = 0.005
PATIENCE = 30.0
STRAGGLERS = 0.5
"""Seconds after weight 0 in which requests under way may still end badly."""


@dataclass(frozen=True)
class Run:
    """One rollout that was brought back. seconds: until weight 0 was read; bad: 5xx that users got."""

    cause: str
    seconds: float
    bad: int


class Listening:
    """A judge that notes when its first FAIL was handed over, and changes nothing."""

    def __init__(self, judge: Judge) -> None:
        self._judge = judge
        self.failed = asyncio.Event()
        self.at = 0.0

    def judge(
        self, criteria: Sequence[Rule], triggers: Sequence[Rule], evidence: Evidence, *, traffic: str
    ) -> PhaseVerdict:
        verdict = self._judge.judge(criteria, triggers, evidence, traffic=traffic)
        if verdict.outcome is Outcome.FAIL and not self.failed.is_set():
            self.at = time.perf_counter()
            self.failed.set()
        return verdict


def cut_plan(cause: str) -> StoredPlan:
    """plans/demo.yaml, with a staging that only prepares, and no approval.

    An abort is measured at the pace of a release: a faster one looks at the journal more often, too.
    """
    with as_file(files("canary.plans") / "demo.yaml") as path:
        loaded = load_plan(path)
    body: dict[str, Any] = json.loads(loaded.body)
    del body["checklist"]
    staging, canary = body["phases"][:2]
    body["time_scale"] = 1 if cause == "abort" else 75
    if cause == "outage":
        body["notify"] = {"updates": [SLACK], "page": [SLACK]}
    staging.update(checks=[], **{"for": "1s"})
    canary.pop("approval", None)
    text = json.dumps(body)
    return StoredPlan(f"bench-{cause}", loaded.plan.name, loaded.plan.service, text)


@asynccontextmanager
async def opened(home: Path) -> AsyncIterator[Stores]:
    journal = open_journal(home=home, env={})
    try:
        yield Stores(
            journal, open_vault(journal, home, {}), Spool(home / "spool"), CLOCK, FolderShelf(home / "rollouts")
        )
    finally:
        await journal.close()


class Playground:
    """The sandbox, and what it shows without the conductor's help."""

    def __init__(self, sandbox: Sandbox, slack: SlackServer) -> None:
        self.sandbox, self.slack = sandbox, slack
        self._fields = {**sandbox.block_fields(), SLACK: slack.fields()}
        state = sandbox.state
        self._admin, self._as = state.admin_url, {"Authorization": f"Bearer {state.admin_token}"}
        self._http = httpx.AsyncClient(timeout=6.0, trust_env=False, headers=self._as)

    async def load(self, ref: str) -> Mapping[str, Any]:
        return self._fields[ref]

    async def until_weight(self, colour: Colour, nothing: bool) -> float:
        """When (perf_counter) every layer's weight of the colour was read as 0, or as more than 0."""
        until = time.perf_counter() + PATIENCE
        while time.perf_counter() < until:
            entries = (await self._http.get(f"{self._admin}/runtime", params={"format": "json"})).json()["entries"]
            weights = [entries.get(f"routing.{layer}.{layer}_{colour}", {}).get("final_value") for layer in LAYERS]
            if None not in weights and all((float(weight) == 0) is nothing for weight in weights):
                return time.perf_counter()
            await asyncio.sleep(LOOK_EVERY)
        raise AssertionError(f"{colour} still has users after {PATIENCE:.0f} s")

    async def close(self) -> None:
        await self._http.aclose()


async def in_canary(conductor: Conductor) -> None:
    """Until users are on the candidate and the soak ticks."""
    until = time.perf_counter() + PATIENCE
    while not (conductor.state.raised and conductor.state.soaking == "canary"):
        if time.perf_counter() > until or conductor.state.rollback:
            raise AssertionError(f"the canary did not begin: {conductor.state.rollback}")
        await asyncio.sleep(0.02)


async def conduct(conductor: Conductor) -> None:
    for phase in conductor.plan.phases:
        if (await conductor.run_phase(phase.name)).rollback:
            break
    if not await conductor.finish_rollback():
        raise AssertionError("exposure 0 was not verified")


async def fail(play: Playground, stores: Stores, conductor: Conductor, colour: Colour) -> float:
    """Seconds from the judge's FAIL to weight 0."""
    listening = Listening(conductor.soak.judge)
    conductor.soak.judge = listening
    await play.sandbox.fault("errors")
    await asyncio.wait_for(listening.failed.wait(), PATIENCE)
    return await play.until_weight(colour, nothing=True) - listening.at


async def abort(play: Playground, stores: Stores, conductor: Conductor, colour: Colour) -> float:
    """Seconds from before the abort's line to weight 0."""
    await play.until_weight(colour, nothing=False)
    await asyncio.sleep(0.5 + random.Random(conductor.state.rollout).random())
    asked = time.perf_counter()
    person = AbortAsked(by="bench", how="in process", reason="bench")
    await enter(stores.journal, CLOCK, conductor.state.rollout, person)
    return await play.until_weight(colour, nothing=True) - asked


async def one(play: Playground, stores: Stores, plan: StoredPlan, cause: str, number: int) -> Run:
    """A rollout of a version of its own, so that its users' responses are counted apart."""
    rollout, version = f"{cause}-{number}", f"2.{1 + CAUSES.index(cause)}.{number}"
    await play.sandbox.fault("none")
    play.slack.slow(0.0)
    await begin(stores, Start(rollout, plan.hash, version, "bench", "bench"))
    async with taking(stores, rollout) as seat:
        adapters = await pass_preflight(seat, play.load, OPENER)
        async with conducting(seat, adapters) as conductor:
            driving = asyncio.create_task(conduct(conductor))
            try:
                seconds = await react(play, stores, conductor, cause)
                await driving
            finally:
                driving.cancel()
    await asyncio.sleep(STRAGGLERS)
    tally = (await play.sandbox.status()).load.by_version.get(version)
    return Run(cause, seconds, tally.bad if tally else 0)


async def react(play: Playground, stores: Stores, conductor: Conductor, cause: str) -> float:
    await in_canary(conductor)
    candidate = (await play.sandbox.status()).candidate
    assert candidate is not None
    if cause == "outage":
        play.slack.slow(NEVER)
    return await (abort if cause == "abort" else fail)(play, stores, conductor, candidate)


async def measured(home: Path, fails: int, aborts: int, outages: int) -> list[Run]:
    sandbox = await Sandbox.start(home)
    try:
        async with opened(home) as stores, slack_server() as slack:
            play, plans = Playground(sandbox, slack), {cause: cut_plan(cause) for cause in CAUSES}
            for plan in plans.values():
                await stores.journal.store_plan(plan)
            causes = ["fail"] * fails + ["outage"] * outages + ["abort"] * aborts
            runs = [await one(play, stores, plans[cause], cause, number) for number, cause in enumerate(causes)]
            await play.close()
            return runs
    finally:
        await sandbox.stop()


def shown(runs: Sequence[Run]) -> Iterator[str]:
    """The table."""
    yield "cause   runs  median s  max s  bad responses: median, max"
    for cause in CAUSES:
        if found := [run for run in runs if run.cause == cause]:
            seconds, bad = [run.seconds for run in found], [run.bad for run in found]
            figures = f"{statistics.median(seconds):8.3f}  {max(seconds):5.3f}"
            yield f"{cause:6}  {len(found):4}  {figures}  {statistics.median(bad):21.0f}, {max(bad)}"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.reaction", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--runs", type=int, default=50, help="rollouts that fail")
    parser.add_argument("--aborts", type=int, default=20, help="rollouts that are aborted")
    parser.add_argument("--outages", type=int, default=20, help="rollouts that fail while Slack answers nothing")
    parser.add_argument("--json", type=Path, help="where to write the runs, too")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="canary-bench-") as home:
        runs = asyncio.run(measured(Path(home), asked.runs, asked.aborts, asked.outages))
    print("\n".join(shown(runs)))
    if asked.json:
        asked.json.write_text(json.dumps([asdict(run) for run in runs], indent=1) + "\n")


if __name__ == "__main__":
    main()
