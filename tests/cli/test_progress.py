"""What is shown while a command takes long: something on a terminal, nothing in a pipe."""

from __future__ import annotations

import io
import os
import pty
import subprocess
import sys
from typing import Any

import pytest
from rich.console import Console

from canary.cli.progress import busy

COMMAND = """
import sys
from canary.cli.progress import busy
with busy("rolling r[b]1 back"):
    sys.stderr.write("a line meanwhile\\n")
    print("the answer")
sys.stderr.write("after\\n")
"""


def test_a_pipe_gets_nothing_of_it() -> None:
    """Standard output and error are what the command itself says, in a CI job that asks for colours too."""
    colours = {**os.environ, "FORCE_COLOR": "1"}
    done = subprocess.run(
        [sys.executable, "-c", COMMAND], env=colours, capture_output=True, text=True, check=True, timeout=60
    )
    assert (done.stdout, done.stderr) == ("the answer\n", "a line meanwhile\nafter\n")


def test_a_terminal_sees_what_is_done_and_the_lines_above_it() -> None:
    """On standard error alone: standard output may be a script's. The name is text, not markup; the cursor is back."""
    ours, theirs = pty.openpty()
    done = subprocess.run(
        [sys.executable, "-c", COMMAND],
        stdout=subprocess.PIPE,
        stderr=theirs,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "80"},
        check=True,
        timeout=60,
    )
    os.close(theirs)
    shown = os.read(ours, 100_000).decode()
    os.close(ours)
    assert done.stdout == b"the answer\n"
    assert "rolling r[b]1 back" in shown
    assert "0:00:00" in shown
    assert shown.index("a line meanwhile") < shown.rindex("after")
    assert shown.rindex("\x1b[?25h") > shown.rindex("\x1b[?25l")


class Tty(io.StringIO):
    """A terminal that remembers."""

    def isatty(self) -> bool:
        return True


def test_an_error_ends_it_and_goes_on() -> None:
    """The spinner hides no failure, and leaves nothing behind on the terminal."""
    screen = Tty()
    with pytest.raises(ZeroDivisionError), busy("dividing", Console(file=screen, force_terminal=True)):
        raise ZeroDivisionError
    assert screen.getvalue().rindex("\x1b[?25h") > screen.getvalue().rindex("dividing")


@pytest.mark.parametrize(
    "command", [("rollback", "r9", "--reason", "x"), ("resume", "r9", "--reason", "x"), ("guard", "--once")]
)
def test_commands_say_nothing_of_it_to_a_script(desk: Any, command: tuple[str, ...]) -> None:
    """Their answer on standard output is as before: nothing for an error, or the one JSON line."""
    done = desk.canary(*command, "--json")
    assert done.stdout in ("", '{"recovered": []}\n')
    assert done.stderr == ""
