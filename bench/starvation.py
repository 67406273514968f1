"""How often the starvation guard fails a healthy release, and how soon it fails a hung one.

    python -m bench.starvation [--runs N] [--seed N] [--json OUT]

The healthy release: 10 % of the users on the canary for 30 minutes, the guard asked after every block of 15 s. Users
arrive at random, make requests with a think time between them, leave after a geometric number of blocks, and never
change sides. A fifth of a block's requests are still in flight, or not scraped yet, when the block ends. Three kinds
of users, as (requests a stay, seconds between two requests): light (5, 5), usual (20, 10), and heavy (200, 3), of
whom 2 requests a second are six people. The hung release is the same, but that its canary completes nothing.

What is reached (20,000 runs a row, seed 1; limits are the upper 99 % ones of Clopper and Pearson, one-sided):

- Counting the requests sent to the canary: no false alarm in any row, so at most 0.023 %, at 2, 20 and 200 requests
  a second and for all users.
- From the weight alone, by the same floors (30 for silence, 100 for a shortfall): 11 to 87 % at 2 requests a second,
  1.9 to 20 % at 20, none at 200. With few users on the canary, one who leaves looks like a canary that hangs, and
  no count can tell.
- From the weight alone, by the floors that the guard uses for it (1,500 and 10,000): no false alarm at 2, 20 and 200
  requests a second, at most 0.023 %; at 8, the worst rate in between, 0.01 %, at most 0.042 %.

What is not reached: with these floors a hung canary at 2 requests a second is never *failed* from the weight alone (30
minutes let 360 requests expect), and at 20 only after 750 s, where counts of requests sent need 45 s. Until then the
guard has no data, which promotes nothing. It is also undecided at the end of a healthy release with few users: at 2
requests a second for 0.2 % of the light, 7 % of the usual and 56 % of the heavy users' releases. Counting requests
sent, 15 % of the hung releases with heavy users at 2 requests a second are not failed within 30 minutes, because the
canary is hardly used. A single client with half of all the traffic is beyond the weight at any floor, and not
simulated.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import random
from bisect import bisect
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

from canary.judge.evidence import Block, Evidence
from canary.judge.starvation import ROUTED, WEIGHT, Demand, Floors, demand
from canary.ports import Arm, Increment

SHARE = 0.1
SECONDS = 15.0
BLOCKS = 120
IN_FLIGHT = 0.2
CHECKED = 50
"""Runs a row in which the fast fold here is held against the real evidence."""


@dataclass(frozen=True)
class Users:
    """One kind of user: requests in one stay (mean), and seconds between two requests (mean)."""

    name: str
    requests: float
    think: float


LIGHT, USUAL, HEAVY = Users("light", 5, 5), Users("usual", 20, 10), Users("heavy", 200, 3)
ROWS = [(rate, users) for rate in (2, 20, 200) for users in (LIGHT, USUAL, HEAVY)] + [(8, HEAVY), (45, HEAVY)]
RULES: dict[str, Floors] = {"routed": ROUTED, "weight": WEIGHT, "weight, floors of routed": ROUTED}


@dataclass(frozen=True)
class Seen:
    """One block: requests sent to the canary, and completed by each arm."""

    sent: int
    done: int
    baseline: int


@dataclass(frozen=True)
class Row:
    """What one rule did at one rate (requests a second). Shares are 0–1, seconds plan time."""

    rate: int
    users: str
    rule: str
    runs: int
    false_alarms: int
    share: float
    upper: float
    undecided_at_end: float
    hung_failed: float
    hung_median_seconds: float | None


# --- random numbers: exact, by inversion, from tables made once ----------------------------------------------


class Draw:
    """Draws from a family of distributions on whole numbers, one table per parameter."""

    def __init__(self, law: Callable[[int], tuple[int, list[float]]]) -> None:
        self._law, self._tables = law, dict[int, tuple[int, list[float]]]()

    def __call__(self, parameter: int, uniform: float) -> int:
        table = self._tables.get(parameter)
        if table is None:
            table = self._tables[parameter] = self._law(parameter)
        return table[0] + bisect(table[1], uniform)


def table(mean: float, deviation: float, most: int, log_mass: Callable[[int], float]) -> tuple[int, list[float]]:
    """(the least value, cumulative probabilities) within 8 standard deviations."""
    low = max(0, int(mean - 8 * deviation - 8))
    mass = [math.exp(log_mass(k)) for k in range(low, min(most, int(mean + 8 * deviation + 12)) + 1)]
    total, sums = sum(mass), [0.0]
    for each in mass:
        sums.append(sums[-1] + each / total)
    return low, sums[1:-1]


def poisson(each: float, times: int) -> tuple[int, list[float]]:
    """The sum of `times` Poisson variables with mean `each`."""
    mean = each * times
    if not mean:
        return 0, []
    return table(mean, math.sqrt(mean), 10**9, lambda k: k * math.log(mean) - mean - math.lgamma(k + 1))


def binomial(chance: float, times: int) -> tuple[int, list[float]]:
    """How many of `times` happen."""
    mean, log, rest = chance * times, math.log(chance), math.log1p(-chance)
    whole = math.lgamma(times + 1)
    return table(
        mean,
        math.sqrt(mean * (1 - chance)),
        times,
        lambda k: whole - math.lgamma(k + 1) - math.lgamma(times - k + 1) + k * log + (times - k) * rest,
    )


# --- the service ----------------------------------------------------------------------------------------------


class Side:
    """The users of one arm; the tables are shared by all runs."""

    def __init__(self, rate: float, users: Users) -> None:
        self._present = Draw(partial(poisson, rate * users.think))
        self._arrivals = Draw(partial(poisson, rate * SECONDS / users.requests))
        self._leaving = Draw(partial(binomial, SECONDS / (users.requests * users.think)))
        self._requests = Draw(partial(poisson, SECONDS / users.think))

    def blocks(self, uniform: Callable[[], float]) -> Iterator[int]:
        """Requests per block, from the steady state on."""
        present = self._present(1, uniform())
        while True:
            yield self._requests(present, uniform())
            present += self._arrivals(1, uniform()) - self._leaving(present, uniform())


class Service:
    """A service with `rate` requests a second and the canary at 10 % of its users."""

    def __init__(self, rate: int, users: Users) -> None:
        self._canary, self._baseline = Side(SHARE * rate, users), Side((1 - SHARE) * rate, users)
        self._in_flight = Draw(partial(binomial, IN_FLIGHT))

    def run(self, uniform: Callable[[], float], hung: bool = False) -> Iterator[Seen]:
        """30 minutes of it."""
        flying = 0
        arms = zip(range(BLOCKS), self._canary.blocks(uniform), self._baseline.blocks(uniform), strict=False)
        for _, sent, baseline in arms:
            still = self._in_flight(sent, uniform())
            yield Seen(sent, 0 if hung else sent - still + flying, baseline)
            flying = still


# --- the guard ------------------------------------------------------------------------------------------------


def demands(run: Iterable[Seen]) -> Iterator[tuple[Demand, Demand]]:
    """After each block what the guard judges: by the requests sent, and by the weight alone."""
    odds = SHARE / (1 - SHARE)
    settled = pending = seen = 0
    done = baseline = silent = blocks = quiet = 0
    for block in run:
        settled, pending = settled + pending, block.sent
        done, baseline, silent = done + block.done, baseline + block.baseline, silent + block.baseline
        blocks, quiet = blocks + 1, quiet + 1
        if block.done:
            silent, quiet, seen = 0, 0, settled + pending
        by_sent = Demand(settled, done, max(settled - seen, 0), blocks, quiet)
        yield by_sent, Demand(odds * baseline, done, odds * silent, blocks, quiet)


def judged(run: Iterable[Seen]) -> tuple[dict[str, int], dict[str, bool]]:
    """Rule → the block at which it failed, if it did; and whether it could not pass at the end."""
    failed: dict[str, int] = {}
    by_sent = by_weight = Demand(0, 0, 0, 0, 0)
    for by_sent, by_weight in demands(run):
        for (rule, floors), found in zip(RULES.items(), (by_sent, by_weight, by_weight), strict=True):
            if rule not in failed and found.starved(floors):
                failed[rule] = found.blocks
    doubtful = (by_sent.doubtful(), by_weight.doubtful(), by_weight.doubtful())
    return failed, dict(zip(RULES, doubtful, strict=True))


def check(run: Sequence[Seen]) -> None:
    """Holds the fast fold against the real evidence of the same blocks."""
    by_sent, by_weight = Evidence(), Evidence()
    for at, (block, (sent, weight)) in enumerate(zip(run, demands(run), strict=True), 1):
        arms: dict[Arm, Increment] = {"canary": Increment(block.done), "baseline": Increment(block.baseline)}
        found = {"requests": arms}
        by_sent = by_sent.add(Block(at * SECONDS, found, 1, SHARE, {"canary": block.sent}))
        by_weight = by_weight.add(Block(at * SECONDS, found, 1, SHARE))
        same(demand(by_sent, "requests")[0], sent)
        same(demand(by_weight, "requests")[0], weight)


def same(real: Demand, fast: Demand) -> None:
    if not all(math.isclose(a, b, rel_tol=1e-9, abs_tol=1e-6) for a, b in zip(real, fast, strict=True)):
        raise AssertionError(f"the bench folds {fast} where the evidence holds {real}")


# --- the numbers ----------------------------------------------------------------------------------------------


def upper_limit(hits: int, runs: int) -> float:
    """The upper 99 % limit (one-sided, Clopper and Pearson) of a share seen `hits` times in `runs`."""
    low, high = hits / runs, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if at_most(hits, runs, middle) > 0.01 else (low, middle)
    return high


def at_most(hits: int, runs: int, chance: float) -> float:
    """P(no more than `hits` of `runs`)."""
    if chance >= 1:
        return float(hits >= runs)
    whole, log, rest = math.lgamma(runs + 1), math.log(chance), math.log1p(-chance)
    return sum(
        math.exp(whole - math.lgamma(k + 1) - math.lgamma(runs - k + 1) + k * log + (runs - k) * rest)
        for k in range(hits + 1)
    )


def measured(runs: int, seed: int, row: tuple[int, Users]) -> list[Row]:
    """One rate and one kind of user, under every rule."""
    rate, users = row
    service, uniform = Service(rate, users), random.Random(f"{seed} {rate} {users.name}").random
    for _ in range(min(CHECKED, runs)):
        check(list(service.run(uniform)))
    healthy = [judged(service.run(uniform)) for _ in range(runs)]
    hung = [judged(service.run(uniform, hung=True))[0] for _ in range(max(1, runs // 20))]
    return [summed(rate, users, rule, healthy, hung) for rule in RULES]


def summed(
    rate: int,
    users: Users,
    rule: str,
    healthy: Sequence[tuple[dict[str, int], dict[str, bool]]],
    hung: Sequence[dict[str, int]],
) -> Row:
    runs, alarms = len(healthy), sum(rule in failed for failed, _ in healthy)
    undecided = sum(doubtful[rule] and rule not in failed for failed, doubtful in healthy)
    found = sorted(failed[rule] * SECONDS for failed in hung if rule in failed)
    median = found[len(hung) // 2] if len(found) > len(hung) // 2 else None
    upper = upper_limit(alarms, runs)
    caught = len(found) / len(hung)
    return Row(rate, users.name, rule, runs, alarms, alarms / runs, upper, undecided / runs, caught, median)


def shown(rows: Iterable[Row]) -> Iterator[str]:
    """The table."""
    yield "req/s  users  rule                      false alarms [upper 99 %]  undecided   hung: failed, median"
    for row in rows:
        alarms = f"{100 * row.share:.3f} % [{100 * row.upper:.3f} %]"
        median = "–" if row.hung_median_seconds is None else f"{row.hung_median_seconds:.0f} s"
        hung = f"{100 * row.hung_failed:.1f} %, {median}"
        end = f"{100 * row.undecided_at_end:.2f} %"
        yield f"{row.rate:5}  {row.users:5}  {row.rule:24}  {alarms:>25}  {end:>9}   {hung:>20}"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.starvation", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--runs", type=int, default=20_000, help="healthy runs a row")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=Path, help="where to write the rows, too")
    asked = parser.parse_args()
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        rows = [row for rows in pool.map(partial(measured, asked.runs, asked.seed), ROWS) for row in rows]
    print("\n".join(shown(rows)))
    if asked.json:
        told = {"seed": asked.seed, "share": SHARE, "rows": [asdict(row) for row in rows]}
        asked.json.write_text(json.dumps(told, indent=1) + "\n")


if __name__ == "__main__":
    main()
