"""The wheel as a user gets it: installed without the lock, in an empty environment, far from the checkout."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

PACKAGED = ("src/canary", "flows", "tasks", "blocks", "plans", "deployments")


@pytest.fixture(scope="session")
def wheel(root: Path, files: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from a copy of what git knows: a build leaves its traces beside the sources."""
    copy, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("dist")
    for name in files:
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(root / name, copy / name)
    for link in (path for path in (root / "src" / "canary").iterdir() if path.is_symlink()):
        (copy / link.relative_to(root)).symlink_to(os.readlink(link))
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", out, copy],
        check=True,
        capture_output=True,
        cwd=out,
    )
    (built,) = out.glob("*.whl")
    return built


class Installed:
    """An environment that holds the wheel and what it asks for, and an empty folder to work in."""

    def __init__(self, bin_dir: Path, empty: Path) -> None:
        self.bin_dir, self.empty = bin_dir, empty

    def run(self, program: str, *arguments: str, within: float = 60) -> subprocess.CompletedProcess[str]:
        """Run a program of the environment. Nothing of this checkout or its settings is passed on."""
        environment = {name: os.environ[name] for name in ("PATH", "LANG", "TMPDIR") if name in os.environ}
        return subprocess.run(
            [self.bin_dir / program, *arguments],
            cwd=self.empty,
            env=environment | {"HOME": str(self.empty), "CANARY_HOME": str(self.empty / ".canary")},
            capture_output=True,
            text=True,
            check=False,
            timeout=within,
        )


@pytest.fixture(scope="session")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """The wheel with its extra `demo`, installed as the README says, in the newest versions allowed."""
    folder, empty = tmp_path_factory.mktemp("venv"), tmp_path_factory.mktemp("empty")
    venv.create(folder, with_pip=True, symlinks=True)
    bin_dir = folder / "bin"
    subprocess.run(
        [bin_dir / "python", "-m", "pip", "install", "--quiet", "--no-compile", f"{wheel}[demo]"],
        check=True,
        capture_output=True,
        cwd=empty,
    )
    return Installed(bin_dir, empty)


def test_the_wheel_brings_one_package_and_nothing_beside_it(wheel: Path) -> None:
    """No top-level `flows` or `tasks` ends among a user's packages."""
    with zipfile.ZipFile(wheel) as archive:
        top = {name.split("/")[0] for name in archive.namelist()}
    assert "canary" in top
    assert [name for name in top - {"canary"} if not name.endswith(".dist-info")] == []


def test_every_file_of_the_package_is_in_the_wheel(wheel: Path, files: list[Path]) -> None:
    """Code and data alike: plans, deployments, pages, templates. What is missing is named in package-data."""
    with zipfile.ZipFile(wheel) as archive:
        packed = set(archive.namelist())
    expected = {
        name: f"canary/{name.relative_to('src/canary') if name.parts[0] == 'src' else name}"
        for name in files
        if str(name).startswith(tuple(f"{folder}/" for folder in PACKAGED))
    }
    assert len(expected) > 10
    assert [str(name) for name, path in expected.items() if path not in packed] == []


def test_the_command_answers_help(installed: Installed) -> None:
    """`canary --help` works right after pip install and names the commands."""
    helped = installed.run("canary", "--help")
    assert helped.returncode == 0, helped.stderr
    assert "demo" in helped.stdout


def test_the_linked_folders_are_ordinary_packages(installed: Installed) -> None:
    """`canary.flows` and its neighbours import from the installed package, as real folders."""
    script = (
        "import canary, canary.flows, canary.tasks, canary.blocks, canary.plans, canary.deployments;"
        "from pathlib import Path; home = Path(canary.__file__).parent;"
        "print([p.name for p in home.iterdir() if p.is_symlink()], canary.flows.__file__)"
    )
    imported = installed.run("python", "-c", script)
    assert imported.returncode == 0, imported.stderr
    assert imported.stdout.startswith("[] ")
    assert "site-packages/canary/flows" in imported.stdout


def resource(installed: Installed, package: str, name: str) -> Path:
    """Where importlib.resources finds a packaged file."""
    script = f"from importlib.resources import files; print(files({package!r}) / {name!r})"
    return Path(installed.run("python", "-c", script).stdout.strip())


@pytest.mark.parametrize(
    ("package", "name"),
    [
        ("canary.plans", "phase1.yaml"),
        ("canary.plans", "demo.yaml"),
        ("canary.plans", "evidence"),
        ("canary.deployments", "prefect.yaml"),
        ("canary.sandbox", "pages"),
    ],
)
def test_packaged_data_is_found(installed: Installed, package: str, name: str) -> None:
    """What the commands read at run time comes with the package."""
    assert resource(installed, package, name).exists()


def test_the_packaged_plan_is_a_good_plan(installed: Installed) -> None:
    """The runbook that ships checks clean from an empty folder, with no server about."""
    plan = resource(installed, "canary.plans", "phase1.yaml")
    checked = installed.run("python", "-m", "canary.cli.main", "plan", "check", str(plan))
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_the_demo_runs_from_the_wheel(installed: Installed) -> None:
    """With nothing but Python packages: the broken candidate is rolled back, and the journal tells how."""
    rehearsed = installed.run("canary", "demo", "--fault", "errors", "--json", within=300)
    assert rehearsed.returncode == 3, rehearsed.stdout + rehearsed.stderr
    line = json.loads(rehearsed.stdout.splitlines()[-1])
    assert (line["outcome"], line["verified"]) == ("rolled_back", True)
    assert "http_errors on features" in line["reason"]
    journal = installed.run("canary", "journal", line["rollout"], "--json").stdout.splitlines()
    types = [json.loads(entry)["type"] for entry in journal]
    effects = [kind for kind in types if kind in ("exposure_intended", "exposure_observed", "rollback_verified")]
    up, down = ["exposure_intended", "exposure_observed"], ["exposure_intended", "exposure_observed"]
    assert effects == [*up, *down, "rollback_verified"]
