"""How long the runbook's three UI checks take together, on the sandbox, in the system's Chromium.

    python -m bench.ui_checks [--runs N] [--json OUT]

Each row is one round of the three checks of plans/demo.yaml on a candidate that `prepare` brought up at exposure 0,
through its internal access, all at the same time, while the sandbox's users send 600 requests a second. `cold` begins
with the start of the browser, as the first round would if preflight had not started it; `warm` is every later round.
Aim: 5 s, cold too.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from importlib.resources import as_file, files
from pathlib import Path

from canary.blocks.opener import CLOCK, OPENER
from canary.plan.load import load_plan
from canary.plan.model import Plan, UiCheck
from canary.ports import Release
from canary.rollout.adapters import open_adapters
from canary.rollout.checks import Checks
from canary.sandbox.control import Sandbox

CANDIDATE, STABLE = "2.1.0", "2.0.9"


@dataclass(frozen=True)
class Row:
    """Rounds of the same kind, in seconds."""

    what: str
    runs: int
    median: float
    most: float


def packaged() -> Plan:
    with as_file(files("canary.plans") / "demo.yaml") as path:
        return load_plan(path).plan


async def rounds(sandbox: Sandbox, plan: Plan, runs: int) -> list[float]:
    """Seconds of each round with one browser: the first is cold."""
    checks = tuple(check for check in plan.checks if isinstance(check, UiCheck))
    adapters, found = open_adapters(plan, sandbox.block_fields(), OPENER), list[float]()
    try:
        access = await adapters.targets["web"].prepare(Release(CANDIDATE, STABLE))
        looking = Checks(
            CLOCK, adapters.probe, adapters.browser, access, {"web": access}, adapters.bearers, plan.without, 600.0
        )
        for _ in range(1 + runs):
            began = time.perf_counter()
            looked = await looking.round(checks)
            found.append(time.perf_counter() - began)
            if wrong := [each for each in looked if each.outcome != "passed"]:
                raise AssertionError(wrong)
    finally:
        await adapters.close()
    return found


async def measured(runs: int) -> list[Row]:
    plan = packaged()
    with tempfile.TemporaryDirectory(prefix="canary-bench-") as home:
        sandbox = await Sandbox.start(Path(home))
        try:
            found = await rounds(sandbox, plan, runs)
        finally:
            await sandbox.stop()
    return [row("three UI checks, cold", found[:1]), row("three UI checks, warm", found[1:])]


def row(what: str, found: Sequence[float]) -> Row:
    return Row(what, len(found), statistics.median(found), max(found))


def shown(rows: Sequence[Row]) -> Iterator[str]:
    """The table."""
    yield "what                     runs  median s    max s"
    for each in rows:
        yield f"{each.what:23}  {each.runs:4}  {each.median:8.2f}  {each.most:7.2f}"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.ui_checks", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--runs", type=int, default=10, help="warm rounds")
    parser.add_argument("--json", type=Path, help="where to write the rows, too")
    asked = parser.parse_args()
    rows = asyncio.run(measured(max(1, asked.runs)))
    print("\n".join(shown(rows)))
    if asked.json:
        asked.json.write_text(json.dumps([asdict(each) for each in rows], indent=1) + "\n")


if __name__ == "__main__":
    main()
