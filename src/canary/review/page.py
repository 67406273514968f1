"""The report as one HTML file without anything from outside, and as Markdown for an artifact."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from importlib.resources import files

from canary.review import words
from canary.review.report import Report

KPI_COLUMNS = ("KPI", "value", "must be", "verdict", "samples", "")


def html(report: Report) -> str:
    """For a screen of 390 px and wider, and for paper. Every text is escaped."""
    from jinja2 import Environment, StrictUndefined

    from canary.review.plots import svg

    template = files("canary.review").joinpath("page.html").read_text("utf-8")
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    plots = [(curve.title, svg(curve, report.full_at)) for curve in report.curves]
    page = environment.from_string(template)
    return page.render(report=report, plots=plots, made=words.moment(report.made_at), kpi_columns=KPI_COLUMNS)


def markdown(report: Report) -> str:
    """The same without plots."""
    return "\n".join(_markdown(report)) + "\n"


def _markdown(report: Report) -> Iterator[str]:
    yield from (f"# {_plain(report.title)}", "", f"**{_plain(report.verdict)}**", "")
    yield from (f"- {_plain(line)}" for line in report.lines)
    if report.kpis:
        rows = [(row.name, row.value, row.limit, str(row.said), row.samples, row.reason) for row in report.kpis]
        yield from ("", "## KPIs", "", *_table(KPI_COLUMNS, rows))
    for table in report.tables:
        yield from ("", f"## {_plain(table.title)}", "", *_table(table.columns, table.rows))
        if table.note:
            yield from ("", _plain(table.note))
    yield from ("", f"Measured: {report.measured}. Made {words.moment(report.made_at)}.")


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(columns)} |"
    yield f"|{' --- |' * len(columns)}"
    for row in rows:
        yield f"| {' | '.join(_plain(cell) for cell in row)} |"


def _plain(text: str) -> str:
    """What Markdown or HTML would read as its own is escaped: a ticket's title is no link."""
    return re.sub(r"([\\`*_\[\]<>|#])", r"\\\1", text.replace("\n", " ")).replace("\\<", "&lt;").replace("\\>", "&gt;")
