"""False rollbacks against bad requests served, one picture for each cell in which the canary is worse."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from bench.judge.outcomes import Result

STYLE = {"font.size": 8, "svg.fonttype": "none", "svg.hashsalt": "canary", "axes.grid": True, "grid.color": "#dddddd"}
OURS = ("steady", "swift", "independent")
NO_LESS = 1e-4
COLUMNS, MOST = 3, 9


def traffic(cell: str) -> str:
    """What cells must have in common to be compared: requests, baseline's bad share, pods."""
    parts = re.split(r"[:,;] ", cell)
    return ", ".join(part for part in parts if part.startswith(("rps ", "bad ", "pods ")))


def points(each: Result, results: Sequence[Result]) -> dict[str, tuple[float, float]]:
    """Judge → (its worst false rollback share in scope at the same traffic, bad requests served in this cell)."""
    nulls = [null for null in results if null.null and null.in_scope and traffic(null.cell) == traffic(each.cell)]
    found = {}
    for one in each.outcomes:
        shares = [other.rollback.share for null in nulls if (other := null.of(one.judge))]
        if shares:
            found[one.judge] = max(shares), one.served
    return found


def draw(results: Sequence[Result], path: Path) -> bool:
    """Writes the SVG; False when there is nothing to compare, and nothing is written."""
    worse = [each for each in results if not each.null and points(each, results)][:MOST]
    if not worse:
        return False
    import matplotlib as mpl
    from matplotlib.figure import Figure

    rows = -(-len(worse) // COLUMNS)
    with mpl.rc_context(STYLE):  # type: ignore[arg-type]
        figure = Figure(figsize=(4.2 * COLUMNS, 3.2 * rows), layout="constrained")
        for at, each in enumerate(worse, 1):
            _panel(figure.add_subplot(rows, COLUMNS, at), each, results)
        figure.savefig(path, format="svg", metadata={"Date": None, "Creator": None})
    return True


def _panel(axes: object, each: Result, results: Sequence[Result]) -> None:
    from matplotlib.axes import Axes

    assert isinstance(axes, Axes)
    for judge, (false, served) in points(each, results).items():
        ours = judge in OURS
        axes.plot(max(false, NO_LESS), served, marker="o" if ours else "x", color="#b3430a" if ours else "#1f5fa8")
        axes.annotate(judge, (max(false, NO_LESS), served), textcoords="offset points", xytext=(4, 3), fontsize=6)
    axes.axvline(0.01, color="#444444", linewidth=1, linestyle=":")
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel("false rollback, worst in scope (share)")
    axes.set_ylabel("bad requests served (mean)")
    axes.set_title(each.cell.removeprefix("errors: "), fontsize=7)
