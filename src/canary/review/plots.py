"""Curves → SVG, inline in the page. matplotlib is imported only here, and only when a page is made."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from canary.judge.words import of_unit
from canary.review.curves import Curve

COLOURS = {"candidate": "#b3430a", "baseline": "#1f5fa8"}
STYLE: Any = {
    "font.size": 9, "svg.fonttype": "none", "svg.hashsalt": "canary", "font.family": "sans-serif",
    "axes.spines.top": False, "axes.spines.right": False, "axes.grid": True, "grid.color": "#dddddd",
}  # fmt: skip


def svg(curve: Curve, full_at: float | None) -> str:
    """One plot. The candidate is drawn broad and the baseline dashed, so that print without colour tells them apart."""
    return drawn(lambda axes: _draw(axes, curve, full_at))


def drawn(draw: Callable[[Any], None]) -> str:
    """What `draw` does to a pair of axes, as SVG that takes the width of the page."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(4.6, 2.5), layout="constrained")
        draw(figure.add_subplot())
        stream = io.StringIO()
        figure.savefig(stream, format="svg", metadata={"Date": None, "Creator": None})
    text = stream.getvalue()
    # Without fixed width and height it takes the width of the page.
    sized = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", text[text.index("<svg") :], count=1)
    return re.sub(r'(<svg[^>]*?) width="[^"]*"', r'\1 role="img"', sized, count=1)


def _draw(axes: Any, curve: Curve, full_at: float | None) -> None:
    for name, points in curve.lines.items():
        if points:
            times = [datetime.fromtimestamp(at, UTC) for at, _ in points]
            values = [float("nan") if value is None else value for _, value in points]
            dashed = name == "baseline"
            style: dict[str, Any] = {"linestyle": "--" if dashed else "-", "marker": "." if len(points) < 20 else ""}
            axes.plot(times, values, label=name, color=COLOURS[name], linewidth=1.4 if dashed else 2.0, **style)
    if full_at is not None:
        axes.axvline(
            datetime.fromtimestamp(full_at, UTC), color="#444444", linewidth=1, linestyle=":", label="full exposure"
        )
    axes.set_ylim(bottom=0)
    axes.yaxis.set_major_formatter(lambda value, _: of_unit(value, curve.unit))
    _time_axis(axes)
    axes.legend(frameon=False, loc="lower left", bbox_to_anchor=(0, 1), ncols=3, fontsize=8)


def _time_axis(axes: Any) -> None:
    import matplotlib.dates

    dates: Any = matplotlib.dates
    locator = dates.AutoDateLocator(tz=UTC, maxticks=6)
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(dates.ConciseDateFormatter(locator, tz=UTC, show_offset=False))
