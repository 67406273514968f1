"""Files with a service's past: CSV or Parquet, one row a pod, measure and scrape (docs/backtest.md)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from canary.errors import BadUsage
from canary.judge.backtest.history import BAD, TOTAL, Gathering

if TYPE_CHECKING:
    from canary.judge.odds import Array

AT, POD, MEASURE, EDGE = "at", "pod", "measure", "le_"
ROWS = 1_000_000
"""Read at once: some 100 MB."""
YEAR_5138 = 1e11
"""Unix seconds that are larger are milliseconds, or something else."""
ZONE = r"(?:[Zz]|[+-]\d\d:?\d\d)$"


def gathered(files: Sequence[Path]) -> Gathering:
    """All samples of the files. Raises BadUsage, naming the file and what is wrong with it."""
    found = Gathering()
    for file in files:
        for rows in _read(file):
            _add(found, file, rows)
    return found


def _read(file: Path) -> Iterator[pd.DataFrame]:
    try:
        if file.suffix == ".parquet":
            yield pd.read_parquet(file)
            return
        with pd.read_csv(file, chunksize=ROWS, dtype={POD: "category", MEASURE: "category"}) as chunks:
            yield from chunks
    except ImportError:
        what = f"{file} is Parquet, and pyarrow is not installed"
        raise BadUsage(what, "install it: pip install pyarrow; or export CSV") from None
    except OSError as error:
        raise BadUsage(f"{file} cannot be read: {error.strerror or error}", "name an export that exists") from None
    except (ValueError, EOFError) as error:
        told = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise BadUsage(f"{file} is no export: {told}", f"its columns must be {_columns()}") from None


def _columns() -> str:
    return f"{AT}, {POD}, {MEASURE}, {TOTAL}, and {BAD} or {EDGE}<seconds> for each bucket"


def _add(found: Gathering, file: Path, rows: pd.DataFrame) -> None:
    missing = [name for name in (AT, POD, MEASURE, TOTAL) if name not in rows.columns]
    if missing:
        has = ", ".join(map(str, rows.columns))
        raise BadUsage(f"{file} has no column {missing[0]!r}; it has: {has}", f"its columns must be {_columns()}")
    values = {_name(file, column): _numbers(rows[column]) for column in rows.columns if _counts(column)}
    times = _times(file, rows[AT])
    pods, measures = (rows[name].astype("category").cat for name in (POD, MEASURE))
    codes = pods.codes.to_numpy(dtype=np.int64) * len(measures.categories) + measures.codes.to_numpy(dtype=np.int64)
    named = (pods.codes.to_numpy() >= 0) & (measures.codes.to_numpy() >= 0) & np.isfinite(times)
    found.note_broken(int((~named).sum()))
    order = np.flatnonzero(named)[np.argsort(codes[named], kind="stable")]
    for part in np.split(order, np.flatnonzero(np.diff(codes[order])) + 1) if len(order) else ():
        pod, measure = divmod(int(codes[part[0]]), len(measures.categories))
        columns = {name: column[part] for name, column in values.items()}
        found.add(str(pods.categories[pod]), str(measures.categories[measure]), times[part], columns)


def _counts(column: Any) -> bool:
    return column in (TOTAL, BAD) or str(column).startswith(EDGE)


def _name(file: Path, column: str) -> float | str:
    if not column.startswith(EDGE):
        return column
    try:
        return float(column.removeprefix(EDGE))
    except ValueError:
        what = f"{file}: column {column!r} names no upper edge"
        raise BadUsage(what, f"write it as a number of seconds (ratios 0–1), such as {EDGE}0.25") from None


def _numbers(column: pd.Series) -> Array:
    return np.asarray(pd.to_numeric(column, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan))


def _times(file: Path, column: pd.Series) -> Array:
    """Unix seconds; NaN for what is no time."""
    if pd.api.types.is_numeric_dtype(column):
        times = _numbers(column)
        if times.size and np.nanmax(times, initial=0.0) > YEAR_5138:
            what = f"{file}: {AT} is {np.nanmax(times):.0f}, which is no time in unix seconds"
            raise BadUsage(what, "divide milliseconds by 1000, or write RFC 3339 times such as 2026-03-01T12:00:00Z")
        return times
    if pd.api.types.is_datetime64_any_dtype(column):
        return _since_1970(file, column, zoned=column.dt.tz is not None)
    texts = column.astype(str).str.strip()
    read = pd.to_datetime(texts, utc=True, errors="coerce", format="ISO8601")
    numbers = pd.to_numeric(texts, errors="coerce")
    without = read.notna() & numbers.isna() & ~texts.str.contains(ZONE)
    if without.any():
        raise _no_zone(file, texts[without].iloc[0])
    return np.where(numbers.notna(), _numbers(numbers), _since_1970(file, read, zoned=True))


def _since_1970(file: Path, times: pd.Series, zoned: bool) -> Array:
    if not zoned and len(times):
        raise _no_zone(file, str(times.iloc[0]))
    since = times.dt.tz_convert("UTC") - pd.Timestamp(0, tz="UTC")
    return np.asarray(since.dt.total_seconds().to_numpy(dtype=np.float64))


def _no_zone(file: Path, value: str) -> BadUsage:
    return BadUsage(f"{file}: {AT} is {value[:40]!r}, without a time zone", "add Z or an offset, or write unix seconds")
