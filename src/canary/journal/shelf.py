"""Documents about a rollout, in a folder that its people can read."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from urllib.parse import quote

from canary.journal.files import fsync_folder, private_folder


class FolderShelf:
    """One folder per rollout. A document appears whole or not at all."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def put(self, rollout: str, name: str, text: str) -> str:
        """In a thread: a disk may be slow. The file's path. Raises OSError."""
        return str(await asyncio.to_thread(self._write, self._folder / quote(rollout, safe=""), name, text))

    def _write(self, folder: Path, name: str, text: str) -> Path:
        private_folder(folder)
        file, draft = folder / name, folder / f".{name}.draft"
        with draft.open("w", encoding="utf-8") as written:
            written.write(text)
            written.flush()
            os.fsync(written.fileno())
        draft.replace(file)
        fsync_folder(folder)
        return file
