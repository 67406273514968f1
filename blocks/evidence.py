"""The folder of evidence on this machine: files are hashed, commands are run, and nothing of either is kept."""

from __future__ import annotations

import asyncio
import hashlib
import os
import signal
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from canary.blocks.environment import without_secrets
from canary.ports import Found

CHUNK = 64 * 1024
LAST_WORDS = 1.0
"""Seconds for what a command printed last, once it has ended and everything it started is killed."""


class Folder:
    """`ports.EvidenceRoom` in one folder; relative to where this process runs, if it is not absolute."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder.absolute()

    async def file(self, path: str) -> Found:
        """Links may not lead out of the folder, and a pipe or a folder is no file."""
        try:
            return await asyncio.to_thread(self._hashed, path)
        except OSError as error:
            return Found(False, f"file {path} cannot be read: {error.strerror}")
        except RuntimeError:
            return Found(False, f"file {path} cannot be read: it is a link to itself")

    def _hashed(self, path: str) -> Found:
        folder = self._folder.resolve()
        file = (folder / path).resolve()
        if not file.is_relative_to(folder):
            return Found(False, f"file {path} leads out of the folder of evidence, {self._folder}")
        if not file.is_file():
            return Found(False, f"there is no file {path} in {self._folder}")
        with file.open("rb") as opened:
            digest = hashlib.file_digest(opened, "sha256").hexdigest()
        return Found(True, f"file {path}", digest) if file.stat().st_size else Found(False, f"file {path} is empty")

    async def command(self, argv: Sequence[str], seconds: float) -> Found:
        """In a process group of its own, with nothing to read."""
        if not self._folder.is_dir():
            return Found(False, f"there is no folder {self._folder} to run {argv[0]} in")
        ours, theirs = os.pipe()
        try:
            process = await asyncio.create_subprocess_exec(
                *argv,
                cwd=self._folder,
                env=without_secrets(os.environ),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=theirs,
                stderr=theirs,
                start_new_session=True,
            )
        except (OSError, ValueError) as error:
            os.close(ours)
            why = error.strerror if isinstance(error, OSError) else "an argument that no program can be given"
            return Found(False, f"{argv[0]} cannot be run: {why}")
        finally:
            os.close(theirs)
        printed = asyncio.create_task(_digest(ours))
        try:
            async with asyncio.timeout(seconds):
                status = await process.wait()
        except TimeoutError:
            return Found(False, f"{argv[0]} did not end within {seconds:g} s and was killed")
        finally:
            _kill_group(process.pid)
            await process.wait()
            digest = await _in_the_end(printed)
        if status != 0:
            return Found(False, f"{argv[0]} ended with exit status {status}", digest)
        return Found(True, f"{argv[0]} ended with exit status 0", digest)


def _kill_group(leader: int) -> None:
    """The command, and what it left behind."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, signal.SIGKILL)


async def _digest(pipe: int) -> str:
    """sha256 of everything until the end of the pipe."""
    reader, loop = asyncio.StreamReader(), asyncio.get_running_loop()
    with os.fdopen(pipe, "rb", buffering=0) as opened:
        transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), opened)
        try:
            digest = hashlib.sha256()
            while chunk := await reader.read(CHUNK):
                digest.update(chunk)
            return digest.hexdigest()
        finally:
            transport.close()


async def _in_the_end(printed: asyncio.Task[str]) -> str:
    """ "" when something outside of the command's group still holds its output."""
    try:
        async with asyncio.timeout(LAST_WORDS):
            return await printed
    except TimeoutError:
        return ""
