"""Entries that wait in files for a journal that was away."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import quote, unquote

from canary.errors import Conflict, JournalError, JournalUnavailable
from canary.journal.codec import encode
from canary.journal.files import fsync_folder, opened, private_folder
from canary.ports import Entry, Journal, NewEntry

ENDING = ".jsonl"
_RACES = 20


@dataclass(frozen=True, slots=True)
class _Pending:
    """What one file held: its readable entries, how many lines were torn, and its size in bytes."""

    entries: tuple[NewEntry, ...]
    torn: int
    size: int


class Spool:
    """One file of JSON lines per rollout. Several processes may add and flush at once.

    A spooled entry's data gets `spooled: true` and a `spool_id`, by which it is never appended twice. `add`
    and `pending` block for a small file: call them in a thread where a loop must not wait.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def add(self, rollout: str, entries: Sequence[NewEntry]) -> None:
        """Store the entries durably, all or none. Raises JournalUnavailable, and JournalError for no JSON."""
        file = self._file(rollout)
        try:
            private_folder(self._folder)
            with _locked(file, os.O_RDWR | os.O_APPEND | os.O_CREAT) as descriptor:
                _append(descriptor, entries)
            fsync_folder(self._folder)
        except OSError as error:
            raise _refused(file, error) from error

    def pending(self) -> Mapping[str, Sequence[NewEntry]]:
        """Rollout → its readable entries, in the order added. Raises JournalUnavailable."""
        return {rollout: found.entries for rollout, found in self._found() if found.entries}

    async def flush(self, journal: Journal) -> None:
        """Append what is pending behind the newest entries, and remove it here. Raises JournalUnavailable.

        What a rollout's own journal does not take, because it is damaged or always written to, waits for the next time.
        A line torn by a crash, in the middle of `add`, was promised to nobody: it is left out, and the last
        entry appended tells of it in `torn_lines`.
        """
        for rollout, found in self._found():
            if found.entries and await _delivered(journal, rollout, _marked(found)):
                self._remove(rollout, found.size)

    def _file(self, rollout: str) -> Path:
        return self._folder / f"{quote(rollout, safe='')}{ENDING}"

    def _found(self) -> list[tuple[str, _Pending]]:
        try:
            names = [name for name in sorted(os.listdir(self._folder)) if name.endswith(ENDING)]
        except FileNotFoundError:
            return []
        except OSError as error:
            raise _refused(self._folder, error) from error
        return [(unquote(name.removesuffix(ENDING)), _parse(self._read(name))) for name in names]

    def _read(self, name: str) -> bytes:
        try:
            return (self._folder / name).read_bytes()
        except FileNotFoundError:
            # Another process has just flushed it.
            return b""
        except OSError as error:
            raise _refused(self._folder, error) from error

    def _remove(self, rollout: str, size: int) -> None:
        """Unless somebody has added meanwhile: the next flush knows by the ids what is journaled already."""
        file = self._file(rollout)
        try:
            with _locked(file, os.O_RDWR) as descriptor:
                if os.fstat(descriptor).st_size == size:
                    file.unlink()
        except FileNotFoundError:
            return
        except OSError as error:
            raise _refused(file, error) from error


async def _delivered(journal: Journal, rollout: str, entries: Sequence[NewEntry]) -> bool:
    for _ in range(_RACES):
        try:
            return await _appended(journal, rollout, entries)
        except Conflict:
            continue
        except JournalUnavailable:
            raise
        except JournalError:
            return False
    return False


async def _appended(journal: Journal, rollout: str, entries: Sequence[NewEntry]) -> bool:
    journaled = await journal.read(rollout)
    known = {entry.data.get("spool_id") for entry in journaled}
    missing = [entry for entry in entries if entry.data["spool_id"] not in known]
    if missing:
        await journal.append(rollout, _newest(journaled), missing)
    return True


def _newest(entries: Sequence[Entry]) -> int:
    return entries[-1].seq if entries else 0


def _marked(found: _Pending) -> list[NewEntry]:
    marked = list(found.entries)
    if found.torn:
        marked[-1] = replace(marked[-1], data={**marked[-1].data, "torn_lines": found.torn})
    return marked


def _append(descriptor: int, entries: Sequence[NewEntry]) -> None:
    start = os.fstat(descriptor).st_size
    # A torn line gets an end of its own, so that it does not take the next one with it.
    torn = start > 0 and os.pread(descriptor, 1, start - 1) != b"\n"
    lines = [_line(entry, f"{start}.{number}") for number, entry in enumerate(entries)]
    try:
        _write_all(descriptor, (b"\n" if torn else b"") + b"".join(lines))
        os.fsync(descriptor)
    except OSError:
        # The caller is told that nothing was stored: leave nothing that would be flushed.
        os.ftruncate(descriptor, start)
        raise


def _write_all(descriptor: int, text: bytes) -> None:
    while text:
        text = text[os.write(descriptor, text) :]


def _line(entry: NewEntry, place: str) -> bytes:
    text = encode(entry)
    name = hashlib.sha256(f"{place} {entry.at!r} {entry.type} {text}".encode()).hexdigest()[:16]
    data = {**json.loads(text), "spooled": True, "spool_id": name}
    return json.dumps({"at": entry.at, "type": entry.type, "data": data}).encode() + b"\n"


def _parse(content: bytes) -> _Pending:
    parsed = [_entry(line) for line in content.split(b"\n") if line]
    return _Pending(tuple(filter(None, parsed)), parsed.count(None), len(content))


def _entry(line: bytes) -> NewEntry | None:
    try:
        read = json.loads(line)
        return NewEntry(read["at"], read["type"], read["data"])
    except (ValueError, TypeError, KeyError):
        return None


@contextmanager
def _locked(file: Path, flags: int) -> Iterator[int]:
    """The file, locked against every other process; opened anew when it was removed while we waited."""
    while True:
        with opened(file, flags) as descriptor:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            if os.fstat(descriptor).st_nlink:
                yield descriptor
                return


def _refused(place: Path, error: OSError) -> JournalUnavailable:
    return JournalUnavailable(
        f"the spool {place} cannot be used: {error.strerror}",
        "make room on its disk, and see that this user may write there",
    )
