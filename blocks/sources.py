"""Sources that are no metrics, read for a review: CSV files and JSON over HTTP. What is broken is counted and named."""

from __future__ import annotations

import asyncio
import csv
import json
import math
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from canary.blocks.http import Http
from canary.errors import CanaryError
from canary.plan.model import Source
from canary.review.answers import Answers, Read, Unread

LIMIT = 10 * 2**20
"""Bytes of a CSV file; an HTTP answer has the same limit."""
SHOWN = 24
"""Characters of a value that cannot be read which are repeated: enough to find it, too few for a whole comment."""


class _Broken(ValueError):
    """One value that cannot be read; its text says why."""


async def read_sources(sources: Mapping[str, Source], folder: Path, since: float | None) -> dict[str, Read]:
    """Every source that is configured, all at once. Never raises for what a source says or does not say.

    folder: where relative CSV paths begin. since: unix seconds; rows of a source with `when` count from then on.
    """
    names = [name for name, source in sources.items() if source.configured]
    read = await asyncio.gather(*(_read(name, sources[name], folder, since) for name in names))
    return dict(zip(names, read, strict=True))


async def _read(name: str, source: Source, folder: Path, since: float | None) -> Read:
    try:
        if source.csv is not None:
            return await asyncio.to_thread(_csv, source, folder / source.csv, since)
        return await _json(name, source)
    except CanaryError as error:
        return Unread(error.what)
    except (OSError, csv.Error, _Broken) as error:
        why = (error.strerror or type(error).__name__) if isinstance(error, OSError) else str(error)
        return Unread(f"{source.csv}: {why}" if source.csv else why)


def _csv(source: Source, file: Path, since: float | None) -> Answers:
    if file.stat().st_size > LIMIT:
        raise _Broken(f"is larger than {LIMIT // 2**20} MB")
    values: list[Any] = []
    broken: list[str] = []
    old = 0
    with file.open(encoding="utf-8-sig", errors="replace", newline="") as stream:
        rows = csv.DictReader(stream)
        _has_columns(source, rows.fieldnames or ())
        for row in rows:
            try:
                if source.when is not None and since is not None and _moment(row, source.when) < since:
                    old += 1
                else:
                    values.append(_cell(row, source))
            except _Broken as error:
                broken.append(f"line {rows.line_num}: {error}")
    return Answers(tuple(values), tuple(broken), old)


def _has_columns(source: Source, columns: Any) -> None:
    for column in (source.field, source.when):
        if column is not None and column not in columns:
            raise _Broken(f"has no column {column!r}; it has: {', '.join(columns) or 'none'}")


def _cell(row: Mapping[str | None, Any], source: Source) -> float | str:
    if None in row:
        raise _Broken("has more cells than the header")
    return _value(row[source.field], source)


def _moment(row: Mapping[str | None, Any], column: str) -> float:
    """Unix seconds. A time without a zone could be any of 27 hours, so it is no time."""
    text = (row[column] or "").strip()
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise _Broken(f"{column} is {_short(text)}, not an ISO 8601 time") from None
    if moment.tzinfo is None:
        raise _Broken(f"{column} is {_short(text)}, without a time zone")
    return moment.timestamp()


async def _json(name: str, source: Source) -> Answers:
    http = Http(f"source {name}")
    try:
        said = await http.ask("GET", source.url or "")
    finally:
        await http.close()
    path = (source.field or "").split(".")
    found = list(_walk(said, path))
    if all(value is None for value in found):
        raise _Broken(f"the answer of {source.url} has no {source.field!r}")
    values: list[Any] = []
    broken: list[str] = []
    for number, value in enumerate(found, 1):
        try:
            values.append(_value(value, source))
        except _Broken as error:
            broken.append(f"item {number}: {error}")
    return Answers(tuple(values), tuple(broken))


def _walk(node: Any, path: list[str]) -> Iterator[Any]:
    """Every value at the path; lists on the way, and at its end, are followed into each of their items."""
    if isinstance(node, list):
        for item in node:
            yield from _walk(item, path)
    elif not path:
        yield node
    elif isinstance(node, dict):
        if path[0] in node:
            yield from _walk(node[path[0]], path[1:])
        elif len(path) == 1:
            # An item that lacks the field is a broken row, not one row fewer.
            yield None


def _value(said: Any, source: Source) -> float | str:
    """A finite number, or a text that says something."""
    if said is None or (isinstance(said, str) and not said.strip()):
        raise _Broken(f"{source.field} is empty")
    if source.values == "text":
        return str(said).strip()[:100]
    try:
        number = float(said) if not isinstance(said, bool | dict) else math.nan
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise _Broken(f"{source.field} is {_short(said)}, not a number")
    return number


def _short(said: Any) -> str:
    text = said if isinstance(said, str) else json.dumps(said)
    return repr(text if len(text) <= SHOWN else text[: SHOWN - 1] + "…")
