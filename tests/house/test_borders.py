"""The borders between the folders: import-linter's contracts in pyproject, and that they bite."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import grimp
import pytest

LINKED = ("flows", "tasks", "blocks", "plans", "deployments")
LOADED_BY_ALEMBIC = "canary.journal.migrations."
LINTER = Path(sys.executable).with_name("lint-imports")


def lint(checkout: Path) -> subprocess.CompletedProcess[str]:
    """Run the contracts over the `canary` of that checkout."""
    return subprocess.run(
        [LINTER, "--no-cache", "--no-logo"],
        cwd=checkout,
        env=os.environ | {"PYTHONPATH": str(checkout / "src")},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def checkout(root: Path, tmp_path: Path) -> Path:
    """The skeleton alone: every package of the house, empty, the links between them and the contracts."""
    shutil.copy(root / "pyproject.toml", tmp_path)
    package = tmp_path / "src" / "canary"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    for name in ("errors", "ports", "guard", "settings"):
        (package / f"{name}.py").touch()
    for name in ("cli", "sandbox", "testing", "rollout", "review", "boards", "plan", "judge", "journal"):
        (package / name).mkdir()
        (package / name / "__init__.py").touch()
    for name in LINKED:
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").touch()
        (package / name).symlink_to(f"../../{name}")
    return tmp_path


def test_the_borders_hold(root: Path) -> None:
    """Every import of the project points down, and every library stays in its folder."""
    run = lint(root)
    assert run.returncode == 0, run.stdout


def test_the_empty_house_keeps_every_contract(checkout: Path) -> None:
    """The violations below are red for what they import, not for the skeleton they stand in."""
    run = lint(checkout)
    assert run.returncode == 0, run.stdout + run.stderr


@pytest.mark.parametrize(
    ("module", "line", "contract"),
    [
        ("tasks/t.py", "from canary.flows import x", "Imports only point down"),
        ("src/canary/plan/p.py", "import canary.rollout", "Imports only point down"),
        ("src/canary/errors.py", "import canary.ports", "Imports only point down"),
        ("blocks/b.py", "import canary.sandbox", "Imports only point down"),
        ("src/canary/elsewhere.py", "", "Imports only point down"),
        (
            "src/canary/rollout/r.py",
            "def f():\n    import prefect",
            "The domain knows neither Prefect nor HTTP",
        ),
        ("src/canary/guard.py", "import httpx", "The domain knows neither Prefect nor HTTP"),
        ("flows/f.py", "from httpx import get", "Only blocks and the ends speak HTTP and Slack"),
        ("tasks/t.py", "import slack_sdk.web", "Only blocks and the ends speak HTTP and Slack"),
        ("src/canary/cli/c.py", "import sqlalchemy", "Only the journal speaks SQL"),
        ("flows/f.py", "from sqlalchemy import text", "Only the journal speaks SQL"),
    ],
)
def test_an_import_over_a_border_is_refused(checkout: Path, module: str, line: str, contract: str) -> None:
    """The linter sees every folder, linked ones too, and imports inside functions."""
    (checkout / module).write_text(line + "\n")
    run = lint(checkout)
    assert run.returncode == 1, run.stdout + run.stderr
    assert re.search(rf"^{contract} BROKEN", run.stdout, re.MULTILINE), run.stdout


@pytest.mark.parametrize(
    ("module", "line"),
    [
        ("flows/f.py", "import prefect, canary.tasks, canary.rollout"),
        ("blocks/b.py", "import prefect, httpx, slack_sdk, canary.ports"),
        ("src/canary/journal/j.py", "import sqlalchemy.ext.asyncio, canary.ports"),
        ("src/canary/cli/c.py", "import canary.sandbox, canary.testing, canary.flows, httpx, prefect"),
    ],
)
def test_an_import_that_points_down_is_allowed(checkout: Path, module: str, line: str) -> None:
    """The contracts leave each folder what the design gives it."""
    (checkout / module).write_text(line + "\n")
    run = lint(checkout)
    assert run.returncode == 0, run.stdout + run.stderr


@pytest.mark.parametrize("name", LINKED)
def test_a_top_level_folder_is_linked_into_the_package(root: Path, name: str) -> None:
    """`canary.flows` is the folder `flows`, by a committed link: no `flows` reaches a user's packages."""
    listed = subprocess.run(
        ["git", "ls-files", "-s", f"src/canary/{name}"], cwd=root, capture_output=True, text=True, check=True
    ).stdout
    assert listed.startswith("120000 "), "commit the symbolic link itself (git's mode 120000)"
    assert os.readlink(root / "src" / "canary" / name) == f"../../{name}"


def named_elsewhere(module: str, own: Path, texts: dict[Path, str]) -> bool:
    """Whether another file spells the module's name: a command line, an entry point, a deployment."""
    spelled = re.compile(rf"\b{re.escape(module)}\b")
    test_counts = module.startswith("canary.testing.")
    return any(
        spelled.search(text)
        for name, text in texts.items()
        if name != own and name.suffix != ".md" and (test_counts or name.parts[0] != "tests")
    )


def test_no_module_is_dead(root: Path, texts: dict[Path, str]) -> None:
    """Every module is imported by another or is an entry point; tests keep only canary.testing alive."""
    graph = grimp.build_graph("canary", cache_dir=None)
    dead = []
    for module in sorted(graph.modules - {"canary"}):
        inside = Path(*module.split(".")[1:]).with_suffix(".py")
        own = inside if inside.parts[0] in LINKED else Path("src/canary") / inside
        entry = own.name == "__main__.py" or module.startswith(LOADED_BY_ALEMBIC)
        if entry or own not in texts or graph.find_modules_that_directly_import(module):
            continue
        if not named_elsewhere(module, own, texts):
            dead.append(str(own))
    assert dead == []
