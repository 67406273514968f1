"""Files and folders that only this user reads."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkstemp
from typing import TextIO


def private_folder(folder: Path) -> Path:
    """The folder; it and every missing parent are made with mode 0700. Raises OSError."""
    for part in reversed([folder, *folder.parents]):
        if not part.is_dir():
            part.mkdir(mode=0o700, exist_ok=True)
    return folder


def make_once(file: Path, fill: Callable[[Path], None]) -> None:
    """Make the file, mode 0600, unless it exists. Raises OSError.

    It appears whole, as `fill` left its draft; of several processes that do this at once one draft stays.
    """
    if file.exists():
        return
    private_folder(file.parent)
    descriptor, name = mkstemp(dir=file.parent, prefix=f".{file.name}.")
    os.close(descriptor)
    draft = Path(name)
    try:
        fill(draft)
        with opened(draft, os.O_RDONLY) as descriptor:
            os.fsync(descriptor)
        os.link(draft, file)
    except FileExistsError:
        return
    finally:
        draft.unlink()
    fsync_folder(file.parent)


@contextmanager
def appearing(file: Path) -> Iterator[TextIO]:
    """A text file to write, mode 0600, in ASCII; it appears whole at the end, and not at all after an error.

    Raises OSError; FileExistsError when there is a file of that name.
    """
    if file.exists():
        raise FileExistsError(file)
    descriptor, name = mkstemp(dir=file.parent, prefix=f".{file.name}.")
    try:
        with open(descriptor, "w", encoding="ascii") as written:
            yield written
            written.flush()
            os.fsync(descriptor)
        os.link(name, file)
    finally:
        os.unlink(name)
    fsync_folder(file.parent)


def fsync_folder(folder: Path) -> None:
    """Make the folder's new or removed names durable. Raises OSError."""
    with opened(folder, os.O_RDONLY) as descriptor:
        os.fsync(descriptor)


@contextmanager
def opened(path: Path, flags: int) -> Iterator[int]:
    """A file descriptor; what is created gets mode 0600. Raises OSError."""
    descriptor = os.open(path, flags | os.O_CLOEXEC, 0o600)
    try:
        yield descriptor
    finally:
        os.close(descriptor)
