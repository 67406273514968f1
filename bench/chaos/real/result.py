"""The file of a long run: a round more each time, so that it can be stopped and gone on with."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from statistics import quantiles
from typing import Any

from bench.chaos.batch import JUDGED_CODE, code_hash
from bench.chaos.real.script import BOUNDARIES, ENOUGH, SIDES, Round

WAYS = {"undisturbed": False, "struck on the way": True}
CODE = (*JUDGED_CODE, "flows/*.py", "tasks/*.py", "blocks/*.py")


class Results:
    """`<folder>/real-<seed>.json`. Counts are of the code as it is: other rounds stay in the file, and count apart."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.file = folder / f"real-{seed}.json"
        self.seed, self.code = seed, code_hash(CODE)
        self.rounds: list[dict[str, Any]] = json.loads(self.file.read_text())["rounds"] if self.file.exists() else []

    @property
    def next_number(self) -> int:
        return 1 + max((each["number"] for each in self.rounds), default=0)

    def of_this_code(self) -> Iterator[Mapping[str, Any]]:
        """Every rollout of every round on the code as it is."""
        for each in self.rounds:
            if each["code"] == self.code:
                yield from each["rollouts"]

    def struck(self) -> Counter[str]:
        """Boundary and side → kills so far."""
        return Counter(f"{k['boundary']} {k['side']}" for each in self.of_this_code() for k in each["kills"])

    def add(self, played: Round, seconds: float, rollouts: Sequence[Mapping[str, Any]]) -> None:
        """Kept in place of the former file, in one step."""
        date = datetime.now(UTC).strftime("%Y-%m-%d %H:%M")
        head = {"number": played.number, "date": date, "code": self.code, "trouble": played.trouble}
        self.rounds.append({**head, "seconds": round(seconds, 1), "rollouts": list(rollouts)})
        self.file.parent.mkdir(parents=True, exist_ok=True)
        fresh = self.file.with_suffix(".new")
        fresh.write_text(
            json.dumps({"seed": self.seed, "summary": self.summary(), "rounds": self.rounds}, indent=1) + "\n"
        )
        os.replace(fresh, self.file)

    def summary(self) -> dict[str, Any]:
        """The figures of the code as it is. Seconds."""
        rollouts = list(self.of_this_code())
        kills = [kill for each in rollouts for kill in each["kills"]]
        struck = self.struck()
        return {
            "code": self.code,
            "rollouts": len(rollouts),
            "outcomes": dict(Counter(("bad " if each["bad"] else "good ") + each["outcome"] for each in rollouts)),
            "violations": sum(len(each["violations"]) for each in rollouts),
            "kills": dict(Counter(f"{kill['victim']} {kill['signal']}" for kill in kills)),
            "recovery": figures([kill["recovered"] for kill in kills if kill["recovered"] is not None]),
            "fail_to_zero": {name: figures(_to_zero(rollouts, on_the_way)) for name, on_the_way in WAYS.items()},
            "late_raises": sum(each["late_raises"] for each in rollouts),
            "boundaries": {name: {side: struck[f"{name} {side}"] for side in SIDES} for name in BOUNDARIES},
            "places_with_enough": sum(struck[f"{n} {side}"] >= ENOUGH for n in BOUNDARIES for side in SIDES),
        }


def _to_zero(rollouts: Sequence[Mapping[str, Any]], struck: bool) -> list[float]:
    """Of those where something was struck between FAIL and exposure 0, or of the others."""
    failed = [each for each in rollouts if each["fail_to_zero"] is not None]
    return [each["fail_to_zero"] for each in failed if each["struck_on_the_way"] is struck]


def figures(seconds: Sequence[float]) -> dict[str, float]:
    """How many, and their median, 95th and 99th percentile and greatest."""
    if len(seconds) < 2:
        return {"n": len(seconds), **({"max": seconds[0]} if seconds else {})}
    cut = quantiles(seconds, n=100, method="inclusive")
    found = {"median": cut[49], "p95": cut[94], "p99": cut[98], "max": max(seconds)}
    return {"n": len(seconds), **{name: round(each, 2) for name, each in found.items()}}
