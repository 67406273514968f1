"""The results as text: gates, the worst cell of each judge, and every cell."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from bench.judge.ours import ALPHA, BETA
from bench.judge.outcomes import Outcome, Result, Share
from bench.judge.running import by_judge

DEFAULT = ("steady", "bound", "slower")
"""The judges whose promise is held in every cell in scope."""


def broken(results: Sequence[Result]) -> list[str]:
    """Where a default judge may be wrong more often than it promises, in scope: so says the upper end."""
    return [
        f"{one.judge}, {side}: {each.cell}: {_percent(share.share)} [{_percent(share.high)}]"
        for each in results
        if each.in_scope
        for one in each.outcomes
        if one.judge in DEFAULT
        for side, share, promised in _wrong(each, one)
        if share.high >= promised
    ]


def _wrong(each: Result, one: Outcome) -> Iterator[tuple[str, Share, float]]:
    """What would be false in this cell: which side, how often it came, and how often it may."""
    if each.null:
        yield "false rollback", one.rollback, ALPHA
    if each.as_bad:
        yield "false green", one.green, BETA


def lines(results: Sequence[Result]) -> Iterator[str]:
    """The report."""
    yield "Worst cell of each judge; [] are the ends of 99 % intervals"
    for judge, cells in by_judge(results).items():
        yield from _worst(judge, cells)
    for title, chosen in _groups(results):
        yield ""
        yield title
        for each in chosen:
            yield from _cell(each)


def _groups(results: Sequence[Result]) -> Iterator[tuple[str, list[Result]]]:
    yield "A healthy canary, in scope", [each for each in results if each.null and each.in_scope]
    yield "A healthy canary, out of scope of the default", [each for each in results if each.null and not each.in_scope]
    yield "A canary that is worse", [each for each in results if not each.null]


def _worst(judge: str, cells: Sequence[tuple[Result, Outcome]]) -> Iterator[str]:
    for scope, word in ((True, ""), (False, ", out of scope")):
        found = [(wrong, each) for each, one in cells if each.in_scope is scope for wrong in _wrong(each, one)]
        for asked in ("false rollback", "false green"):
            shares = [(share, each) for (side, share, _), each in found if side == asked]
            if shares:
                share, each = max(shares, key=lambda pair: pair[0].share)
                told = f"{_percent(share.share):>7} [{_percent(share.high):>7}]"
                yield f"  {judge:15} {asked + word:28} {told}  {each.cell}"


def _cell(each: Result) -> Iterator[str]:
    yield f"  {each.cell} ({max(one.runs for one in each.outcomes)} runs)"
    for one in each.outcomes:
        yield (
            f"    {one.judge:15} rollback {_interval(one)}  green {_percent(one.green.share):>7}"
            f"  neither {_percent(one.inconclusive.share):>7}  median {_seconds(one.median):>6}"
            f"  mean {one.mean:6.0f} s  green at {_seconds(one.green_median):>6}  bad served {one.served:8.1f}"
        )


def _interval(one: Outcome) -> str:
    ends = f"[{_percent(one.rollback.low)}, {_percent(one.rollback.high)}]"
    return f"{_percent(one.rollback.share):>7} {ends:18}"


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %" if share < 0.1 else f"{100 * share:.1f} %"


def _seconds(seconds: float | None) -> str:
    return "–" if seconds is None else f"{seconds:.0f} s"
