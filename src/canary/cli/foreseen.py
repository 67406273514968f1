"""What a plan can decide: a table on a terminal, and a plot."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from canary.cli.foreseeing import Foreseen, chance, plot_error
from canary.judge.power.outlook import Outlook
from canary.judge.power.search import SURE
from canary.plan.units import duration, percent

COLOURS = {"decides": "green", "cannot decide": "bold red", "literal": "yellow", "unknown": "yellow"}
UNKNOWN = "–"


def draw(foreseen: Sequence[Foreseen]) -> RenderableType:
    """A table a phase, and under it what a reader must know and could change."""
    return Group(*(part for each in foreseen for part in _phase(each)))


def _phase(each: Foreseen) -> Iterator[RenderableType]:
    phase = each.phase
    yield Text(f"{phase.name}: {percent(phase.exposure)} for {duration(phase.duration or 0.0)}", "bold")
    yield _table(each.rules)
    for rule in each.rules:
        for line in _lines(rule):
            yield Text(f"  {rule.name}: {line}")


def _table(rules: Sequence[Outlook]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("rule")
    table.add_column("judged")
    for name in ("found with 90 %", "rollback after", "bad served", "green if healthy", "green after"):
        table.add_column(name, justify="right")
    table.add_column("in its time")
    for rule in rules:
        table.add_row(
            Text(rule.name),
            rule.judged,
            *_cells(rule),
            Text(rule.standing, COLOURS[rule.standing]),
        )
    return table


def _cells(rule: Outlook) -> Iterator[str]:
    yield found(rule)
    yield _after(rule.smallest.seconds) if rule.smallest else UNKNOWN
    yield f"{rule.smallest.bad:,.0f}" if rule.smallest else UNKNOWN
    yield chance(rule.green.share) if rule.green else UNKNOWN
    yield _after(rule.green.seconds) if rule.green and rule.green.seconds else UNKNOWN


def found(rule: Outlook) -> str:
    """The smallest harm that is found in nine of ten."""
    if rule.signs and rule.signs.detected is not None:
        return f"{100 * rule.signs.detected:.0f} % of windows"
    if not rule.smallest:
        return UNKNOWN
    times = f"×{rule.smallest.factor:.4g}"
    return f"{times} slower" if rule.axis == "slow" else f"{times} ({100 * rule.smallest.share:.3g} % bad)"


def _after(seconds: float) -> str:
    minutes = seconds / 60
    return f"{minutes:.4g} min"


def _lines(rule: Outlook) -> Iterator[str]:
    if rule.judged == "literal" and rule.fires is not None:
        yield f"taken at its word, it would end {chance(rule.fires)} of all healthy releases; instead: {rule.instead}"
    if rule.why:
        yield rule.why
    if rule.clean and rule.side == "criterion":
        yield f"green needs {rule.clean:,} clean canary requests at the least"
    yield from rule.notes
    yield from (f"would do: {each}" for each in rule.suggestions)


def plot(foreseen: Sequence[Foreseen], file: Path) -> None:
    """Power against harm, one line a rule, as SVG. Raises BadUsage when the file cannot be written."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    style: Any = {"svg.hashsalt": "canary", "svg.fonttype": "none", "font.size": 9, "axes.grid": True}
    with mpl.rc_context(style):
        figure = Figure(figsize=(7.0, 4.5), layout="constrained")
        _curves(figure.add_subplot(), foreseen)
        try:
            figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None})
        except OSError as error:
            raise plot_error(file, error) from error


def _curves(axes: Any, foreseen: Sequence[Foreseen]) -> None:
    lines = [(each.phase.name, rule) for each in foreseen for rule in each.rules if rule.curve]
    for number, (phase, rule) in enumerate(lines):
        factors, powers = zip(*rule.curve, strict=True)
        how = "slower" if rule.axis == "slow" else "as bad"
        label = f"{phase}: {rule.name} (times {how})"
        axes.plot(factors, powers, label=label, linestyle=("-", "--", "-.", ":")[number % 4])
        if rule.smallest:
            axes.plot([rule.smallest.factor], [rule.smallest.power], marker="o", color="#444444")
    axes.axhline(SURE, color="#444444", linewidth=1, linestyle=":")
    axes.set_xscale("log")
    _as_far_as_needed(axes, [rule.smallest.factor for _, rule in lines if rule.smallest])
    axes.set_ylim(0, 1.02)
    axes.set_xlabel("times as bad, or as slow, as the baseline")
    axes.set_ylabel("rolled back within the phase")
    if lines:
        axes.legend(frameon=False, fontsize=8, loc="lower left", bbox_to_anchor=(0, 1))


def _as_far_as_needed(axes: Any, factors: Sequence[float]) -> None:
    """Twice the largest harm that matters; beyond it every curve is flat."""
    from matplotlib.ticker import LogLocator, NullFormatter

    if factors:
        axes.set_xlim(1.0, 2 * max(factors))
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.xaxis.set_major_formatter(lambda factor, _: f"×{factor:g}")
    axes.xaxis.set_minor_formatter(NullFormatter())
