"""The file of a long run: a round more each time, so that it can be stopped and gone on with."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from statistics import quantiles
from typing import Any

from bench.chaos.batch import JUDGED_CODE, code_hash
from bench.chaos.real.script import BOUNDARIES, EFFECTS, ENOUGH, SIDES, Kill, Round

WAYS = {"undisturbed": False, "struck on the way": True}
PLACES = [f"{name} {side}" for name in EFFECTS for side in SIDES]
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

    def killed(self) -> Counter[str]:
        """Boundary of an effect and side → flows that were killed there, by SIGKILL."""
        return Counter(_place(kill) for kill in self._strikes() if of_effect(kill))

    def struck(self) -> Counter[str]:
        """Boundary and side → all other strikes: of other processes, elsewhere, or by other signals."""
        return Counter(_place(kill) for kill in self._strikes() if not of_effect(kill))

    def _strikes(self) -> Iterator[Mapping[str, Any]]:
        return (kill for each in self.of_this_code() for kill in each["kills"])

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
        kills, killed = list(self._strikes()), self.killed()
        return {
            "code": self.code,
            "rollouts": len(rollouts),
            "outcomes": dict(Counter(("bad " if each["bad"] else "good ") + each["outcome"] for each in rollouts)),
            "violations": sum(len(each["violations"]) for each in rollouts),
            "overran": sum(each["overran"] for each in rollouts),
            "effects": _places(EFFECTS, killed),
            "effects_with_enough": sum(killed[place] >= ENOUGH for place in PLACES),
            "effects_recovery": figures(_recoveries(kill for kill in kills if of_effect(kill))),
            "others": dict(Counter(f"{kill['victim']} {kill['signal']}" for kill in kills if not of_effect(kill))),
            "others_by_place": _places(BOUNDARIES, self.struck()),
            "recovery": figures(_recoveries(kills)),
            "fail_to_zero": {name: figures(_to_zero(rollouts, on_the_way)) for name, on_the_way in WAYS.items()},
            "late_raises": sum(each["late_raises"] for each in rollouts),
        }

    def table(self) -> Iterator[str]:
        """Kills by place, and how long users and targets waited, for people."""
        killed, summary = self.killed(), self.summary()
        yield f"{'flows killed':26}" + "".join(f"{side:>8}" for side in SIDES)
        for name in EFFECTS:
            yield f"  {name:24}" + "".join(f"{killed[f'{name} {side}']:8}" for side in SIDES)
        yield f"{sum(killed.values())} in all; {summary['effects_with_enough']} of {len(PLACES)} places {ENOUGH} times"
        yield f"recovery: {_told(summary['effects_recovery'])}; of all strikes: {_told(summary['recovery'])}"
        for name, found in summary["fail_to_zero"].items():
            yield f"FAIL → 0, {name}: {_told(found)}"
        yield f"{summary['rollouts']} rollouts, {summary['violations']} violations, {summary['overran']} overran"


def of_effect(kill: Mapping[str, Any]) -> bool:
    """Whether it counts for an effect's place: the process that conducts was killed there."""
    return Kill(kill["victim"], kill["signal"], kill["boundary"], kill["side"]).of_effect


def _place(kill: Mapping[str, Any]) -> str:
    return f"{kill['boundary']} {kill['side']}"


def _places(names: Sequence[str], counted: Counter[str]) -> dict[str, dict[str, int]]:
    return {name: {side: counted[f"{name} {side}"] for side in SIDES} for name in names}


def _recoveries(kills: Iterable[Mapping[str, Any]]) -> list[float]:
    return [kill["recovered"] for kill in kills if kill["recovered"] is not None]


def _told(found: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {each}" if name == "n" else f"{name} {each} s" for name, each in found.items())


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
