"""What a person sees while a command takes long: what it does, and for how long already."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn


@contextmanager
def busy(what: str, console: Console | None = None) -> Iterator[None]:
    """A spinner on standard error until the end of the block; nothing at all where that is no terminal.

    What is written to standard error meanwhile appears above it.
    """
    shown_on = console or Console(stderr=True)
    columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), TimeElapsedColumn())
    with Progress(
        *columns,
        console=shown_on,
        transient=True,
        # Asked of the file: rich takes FORCE_COLOR, which a CI job may set, for a terminal.
        disable=not shown_on.file.isatty(),
        redirect_stdout=False,
    ) as progress:
        progress.add_task(what, total=None)
        yield
