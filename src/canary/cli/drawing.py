"""A rollout's view on a terminal, drawn with rich; the same without colours where there is none."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from datetime import datetime

from rich import box
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from canary.plan.units import percent
from canary.rollout.numbers import clock_seconds, number
from canary.rollout.view import Left, RuleRow, View

COLOURS = {
    "PASS": "green",
    "passed": "green",
    "promoted": "green",
    "yes": "green",
    "FAIL": "bold red",
    "failed": "bold red",
    "no": "bold red",
    "rolling back": "bold red",
    "unverified": "bold red",
    "rolled back": "red",
    "UNDECIDED": "yellow",
    "NO_DATA": "yellow",
    "cannot tell": "yellow",
    "held": "bold yellow",
    "awaiting approval": "yellow",
}
NUMBERS = ("value", "limit", "samples")
PIPE_WIDTH = 200
"""Columns where nobody can say how many there are: a reason is not cut in two for a log."""


def console_on_stdout() -> Console:
    """Wide enough for a log where standard output is no terminal."""
    return Console(width=None if sys.stdout.isatty() else PIPE_WIDTH, highlight=False)


def draw(view: View) -> RenderableType:
    """Everything of the view, most important first; what does not apply is left out."""
    return Group(*_parts(view))


def _parts(view: View) -> Iterator[RenderableType]:
    yield _title(view)
    yield from _facts(view)
    if view.targets:
        yield _targets(view)
    if view.rules:
        yield _plain(f"{view.judged}: {view.verdict or 'no user is on the candidate; its checks'}")
        yield _rules(view)
    if view.said:
        yield _plain(f"{datetime.fromtimestamp(view.said_at).astimezone():%H:%M:%S}  {view.said}")


def _plain(text: str, style: str = "") -> Text:
    """Never as markup, and nothing that would command the terminal: people's reasons are shown here."""
    return Text("".join(c if c.isprintable() else " " for c in text), style)


def _title(view: View) -> Text:
    title = _plain(f"{view.rollout}: {view.service} {view.version}, ", "bold")
    title.append_text(_plain(view.standing, COLOURS.get(view.standing, "bold")))
    title.append_text(_plain(f" in {view.phase} at {percent(view.asked)}"))
    return title.append_text(_plain(f": {view.why}" if view.why else ""))


def _facts(view: View) -> Iterator[Text]:
    if view.left:
        yield _plain(f"  {time_left(view.left)}")
    if view.hold:
        yield _plain(
            f"  a person must decide: canary promote, resume or abort {view.rollout} --reason '…'", "bold yellow"
        )
    for yes in view.approvals:
        proven = "" if yes.proven else ", identity unproven"
        yield _plain(f"  {yes.phase} approved by {yes.by} as {yes.role} ({yes.how}{proven})")
    for role in view.waits_for:
        yield _plain(f"  waits for {role}: canary approve {view.rollout} --role {role} --reason '…'", "yellow")
    if view.features_off:
        yield _plain(f"  switched off: {', '.join(view.features_off)}", "yellow")
    if view.bad_requests:
        yield _plain(f"  bad requests served by the candidate: {number(view.bad_requests, 'requests')}")
    for alert in view.alerts:
        yield _plain(f"  {alert.words()}", "bold red" if alert.severity == "critical" else "yellow")


def time_left(left: Left) -> str:
    """Until when, in the plan's time and by the clock where they differ."""
    if not left.seconds:
        return f"the {left.of} is over its time"
    clock = clock_seconds(left.seconds)
    if left.plan_seconds is None or left.plan_seconds == left.seconds:
        return f"{clock} of the {left.of} left"
    return f"{clock_seconds(left.plan_seconds)} of the {left.of} left in plan time, {clock} by the clock"


def _targets(view: View) -> Table:
    table = _table("target", "asked", "observed", "shows it", "detail")
    for row in view.targets:
        observed = "–" if row.observed is None else percent(row.observed)
        cells = (row.name, percent(row.asked), observed, row.answer or "–", row.detail)
        table.add_row(*(_plain(cell, COLOURS.get(cell, "")) for cell in cells))
    return table


def _rules(view: View) -> Table:
    table = _table("criterion", "", *NUMBERS, "verdict", "over time")
    for column in table.columns:
        column.justify = "right" if column.header in NUMBERS else "left"
    for row in view.rules:
        table.add_row(*(_plain(cell, COLOURS.get(cell, "")) for cell in _cells(row)))
    return table


def _cells(row: RuleRow) -> tuple[str, ...]:
    return (row.rule, row.kind, row.value, row.limit, row.samples, row.verdict, row.over_time)


def _table(*headers: str) -> Table:
    return Table(
        *headers, box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, collapse_padding=True, header_style="dim"
    )
