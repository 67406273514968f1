"""The two files a team begins with: a commented plan, and the blocks it needs."""

from __future__ import annotations

import re
from importlib.resources import files
from pathlib import Path

from canary.errors import BadUsage

TEMPLATES = ("plan.yaml", "blocks.yaml")
PLACEHOLDER = "my-service"


def begin(folder: Path, service: str = PLACEHOLDER) -> list[Path]:
    """Write both files into the folder, which is made if it is missing; where they are.

    Raises BadUsage for a service name that no block can carry, for files that are there (then nothing is written),
    and for a folder that cannot be written.
    """
    _check_name(service)
    wanted = {folder / name: _template(name).replace(PLACEHOLDER, service) for name in TEMPLATES}
    there = [str(path) for path in wanted if path.exists()]
    if there:
        raise BadUsage(f"not overwritten: {', '.join(there)}", "name another folder, or move the old files away")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path, text in wanted.items():
            _write(path, text)
    except OSError as error:
        raise BadUsage(f"{folder} cannot be written: {error.strerror}", "name a folder that you may write to") from None
    return list(wanted)


def _write(path: Path, text: str) -> None:
    # "x": somebody else's file is never replaced, however late it appeared.
    with path.open("x", encoding="utf-8") as file:
        file.write(text)


def _template(name: str) -> str:
    return (files("canary.cli") / "templates" / name).read_text("utf-8")


def _check_name(service: str) -> None:
    """What both a plan and Prefect's block names take."""
    if len(service) > 60 or not re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", service):
        raise BadUsage(
            f"--service {service!r} cannot name a block",
            "write small letters, digits and single dashes, a letter first, such as docflow-api",
        )
