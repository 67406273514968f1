"""The house style that no linter holds; what one can hold (docstrings, banned imports) is left to ruff."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

LONGEST_FUNCTION, LONGEST_FILE = 70, 400
Function = ast.FunctionDef | ast.AsyncFunctionDef


def whole(text: str) -> str:
    """A forbidden word, written with a `~` inside so that this file does not find itself."""
    return text.replace("~", "")


STUB = whole("NotImplemented~Error")
MACHINE_PATH = re.compile(whole(r"(?<![\w.}$-])/(?:wo~rk|ro~ot|ho~me|Us~ers)/\w"))
REGISTRY = re.compile(whole(r"py~pi\.org|python~hosted|registry\.n~pmjs|n~pmjs\.(?:org|com)"))


def functions(text: str) -> Iterator[Function]:
    """Every function of a file, nested ones and methods too."""
    return (node for node in ast.walk(ast.parse(text)) if isinstance(node, Function))


def lines(node: Function) -> int:
    """How many lines a function takes, docstring and decorators included."""
    first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
    return (node.end_lineno or node.lineno) - first + 1


def test_no_function_is_longer_than_70_lines(code: dict[Path, str]) -> None:
    """A function fits on one screen."""
    long = [
        f"{name}:{node.lineno} {node.name} has {lines(node)} lines"
        for name, text in code.items()
        for node in functions(text)
        if lines(node) > LONGEST_FUNCTION
    ]
    assert long == []


def test_no_file_is_longer_than_400_lines(code: dict[Path, str]) -> None:
    """A file is about one thing."""
    counts = {str(name): len(text.splitlines()) for name, text in code.items()}
    assert {name: count for name, count in counts.items() if count > LONGEST_FILE} == {}


def test_the_length_of_a_function_counts_its_decorators_and_docstring() -> None:
    """The measure itself: four lines are four lines."""
    (function,) = functions('@a\n@b\ndef f() -> None:\n    """Doc."""\n')
    assert lines(function) == 4


def test_no_stub_is_left(code: dict[Path, str]) -> None:
    """Nothing is only promised: what a class names it can do. (Unfinished-work comments are ruff's.)"""
    assert [str(name) for name, text in code.items() if STUB in text] == []


def test_no_file_is_named_after_nothing(code: dict[Path, str]) -> None:
    """A name says what is inside; a drawer for all sorts has none."""
    drawers = re.compile(r"^(utils?|helpers?|managers?|misc|common)$|_(utils?|manager)$")
    assert [str(name) for name in code if any(drawers.search(part) for part in name.with_suffix("").parts)] == []


def test_every_test_says_which_behaviour_it_holds(code: dict[Path, str]) -> None:
    """A test's docstring is a sentence about what the software does."""
    silent = [
        f"{name}:{node.lineno} {node.name}"
        for name, text in code.items()
        if name.name.startswith("test_")
        for node in functions(text)
        if node.name.startswith("test_") and not ast.get_docstring(node)
    ]
    assert silent == []


def test_no_file_knows_the_machine_it_was_written_on(texts: dict[Path, str]) -> None:
    """No path of a person's or a build machine's disk, in any file."""
    found = [f"{name}: {hit.group()}" for name, text in texts.items() for hit in MACHINE_PATH.finditer(text)]
    assert found == []


@pytest.mark.parametrize(
    ("text", "is_machine_path"),
    [
        ("see /ho~me/ann/x", True),
        ("'/wo~rk/main'", True),
        ("https://example.com/wo~rk/1", False),
        ("$CANARY_HO~ME/spool/", False),
    ],
)
def test_a_machine_path_is_told_from_a_url(text: str, is_machine_path: bool) -> None:
    """The pattern itself: folders at the root of a disk only."""
    assert bool(MACHINE_PATH.search(whole(text))) is is_machine_path


def index_hosts() -> set[str]:
    """The names of the hosts this machine installs packages from, as its pip is told."""
    environment = {name: value for name, value in os.environ.items() if name.startswith("PIP_")}
    config = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=False
    ).stdout
    urls = re.findall(r"https?://[^\s'\"]+", config + json.dumps(environment))
    hosts = {urlsplit(url).hostname or "" for url in urls}
    return {host for host in hosts if "." in host and any(letter.isalpha() for letter in host)}


def test_no_file_names_a_package_registry(texts: dict[Path, str]) -> None:
    """Where packages come from is the business of the machine that installs them."""
    private = index_hosts()
    found = [
        f"{name}: {hit}"
        for name, text in texts.items()
        for hit in [*REGISTRY.findall(text), *(host for host in private if host in text)]
    ]
    assert found == []


def test_the_linter_forbids_what_the_style_leaves_to_it(root: Path) -> None:
    """Ruff's config is live: a missing docstring, sleep, a mark of unfinished work, a top-level folder."""
    snippet = whole("import time\nfrom tas~ks import x\n\n\ndef f() -> None:\n    time.sleep(x)  # TO~DO\n")
    checked = subprocess.run(
        [sys.executable, "-m", "ruff", "check", "--output-format=json", "--stdin-filename=flows/x.py", "-"],
        cwd=root,
        input=snippet,
        capture_output=True,
        text=True,
        check=False,
    )
    problems = json.loads(checked.stdout)
    assert {problem["code"] for problem in problems} >= {"D100", "D103", "FIX002"}
    assert sum(problem["code"] == "TID251" for problem in problems) == 2
