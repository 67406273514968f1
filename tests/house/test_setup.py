"""The two commands of the README, up to where they hand over to pip, apt and the tools."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Stub = Callable[[str, str], None]
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def bin_dir(tmp_path: Path) -> Path:
    """A folder of programs that comes first in PATH."""
    folder = tmp_path / "bin"
    folder.mkdir()
    return folder


@pytest.fixture
def stub(bin_dir: Path) -> Stub:
    """`stub(program, shell script)` puts a stand-in before the real program."""

    def write(program: str, script: str) -> None:
        path = bin_dir / program
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)

    return write


@pytest.fixture
def checkout(root: Path, tmp_path: Path) -> Path:
    """A checkout with the real Makefile and .ci/run, and nothing else."""
    folder = tmp_path / "checkout"
    (folder / ".ci").mkdir(parents=True)
    shutil.copy(root / "Makefile", folder)
    shutil.copy(root / ".ci" / "run", folder / ".ci")
    for name in ("requirements.lock", "pyproject.toml"):
        (folder / name).touch()
    return folder


@pytest.fixture
def run(checkout: Path, bin_dir: Path) -> Run:
    """Run a command in that checkout, with the stand-ins in PATH and without an outer make's flags."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    environment["PATH"] = f"{bin_dir}{os.pathsep}{os.environ['PATH']}"

    def call(*command: str | Path, cwd: Path = checkout) -> subprocess.CompletedProcess[str]:
        return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)

    return call


def test_without_venv_one_line_says_what_to_install(run: Run, stub: Stub) -> None:
    """Debian's python3 comes without ensurepip: the set-up names the package and stops."""
    stub("python3", f'case "$*" in *ensurepip*) exit 1;; esac; exec {sys.executable} "$@"')
    made = run("make", "setup")
    assert made.returncode != 0
    assert made.stderr.splitlines()[0] == "apt install python3-venv"


def test_an_old_python_is_refused_before_anything_is_installed(run: Run, stub: Stub, checkout: Path) -> None:
    """The set-up names the version it needs and how to choose a Python."""
    stub("python3", 'case "$*" in *version_info*) exit 1;; esac; exit 0')
    made = run("make", "setup")
    assert made.returncode != 0
    assert "Python 3.11 or newer" in made.stderr
    assert not (checkout / ".venv").exists()


@pytest.mark.parametrize("changed", ["requirements.lock", "pyproject.toml"])
def test_a_second_setup_does_nothing_until_the_lock_or_pyproject_change(run: Run, checkout: Path, changed: str) -> None:
    """The stamp in .venv is compared with both files."""
    stamp = checkout / ".venv" / ".installed"
    stamp.parent.mkdir()
    stamp.touch()
    for name in ("requirements.lock", "pyproject.toml"):
        os.utime(checkout / name, (1000, 1000))
    assert run("make", "--question", "setup").returncode == 0
    os.utime(checkout / changed)
    os.utime(stamp, (2000, 2000))
    assert run("make", "--question", "setup").returncode == 1


def test_an_interrupted_setup_is_not_taken_for_done(run: Run, stub: Stub, checkout: Path) -> None:
    """The stamp is written last: when pip fails, the next set-up starts again."""
    stub("python3", "exit 0")
    (checkout / ".venv" / "bin").mkdir(parents=True)
    fake = checkout / ".venv" / "bin" / "python"
    fake.write_text("#!/bin/sh\nexit 1\n")
    fake.chmod(0o755)
    assert run("make", "setup").returncode != 0
    assert not (checkout / ".venv" / ".installed").exists()


@pytest.fixture
def debian(stub: Stub, tmp_path: Path) -> Path:
    """A Debian where only chromium is installed; what apt-get is asked goes into the returned file."""
    log, policy = tmp_path / "apt.log", tmp_path / "policy-rc.d"
    stub("dpkg-query", 'for last; do :; done; test "$last" = chromium && printf installed')
    stub("id", "echo 0")
    stub("apt-get", f'echo "$* policy=$(test -x {policy} && {policy}; echo $?)" >>{log}')
    return log


def services(run: Run, tmp_path: Path) -> subprocess.CompletedProcess[str]:
    """`make services`, with the policy file inside tmp_path."""
    return run("make", "services", f"POLICY={tmp_path / 'policy-rc.d'}")


def test_as_root_what_is_missing_is_installed_and_not_started(run: Run, debian: Path, tmp_path: Path) -> None:
    """Only missing packages are asked for, with service starts forbidden meanwhile, and only meanwhile."""
    made = services(run, tmp_path)
    assert made.returncode == 0, made.stderr
    update, install = debian.read_text().splitlines()
    assert "update" in update
    assert install.endswith("prometheus prometheus-alertmanager postgresql redis-server policy=101")
    assert "chromium" not in install
    assert not (tmp_path / "policy-rc.d").exists()


def test_a_machine_that_forbids_service_starts_keeps_its_own_policy(run: Run, debian: Path, tmp_path: Path) -> None:
    """An existing policy file is used and stays."""
    (tmp_path / "policy-rc.d").write_text("theirs")
    assert services(run, tmp_path).returncode == 0
    assert (tmp_path / "policy-rc.d").read_text() == "theirs"


@pytest.mark.parametrize("step", ["update", "install"])
def test_a_failing_apt_stops_the_check(run: Run, debian: Path, stub: Stub, tmp_path: Path, step: str) -> None:
    """The tests are not run on half a machine, and service starts are allowed again."""
    stub("apt-get", f'case "$*" in *{step}*) exit 100;; esac')
    assert services(run, tmp_path).returncode != 0
    assert not (tmp_path / "policy-rc.d").exists()


def test_without_root_what_is_missing_is_named(run: Run, debian: Path, stub: Stub, tmp_path: Path) -> None:
    """Nothing is installed; the line can be typed with sudo."""
    stub("id", "echo 1000")
    made = services(run, tmp_path)
    assert made.returncode == 0
    assert made.stdout.rstrip().endswith("apt install prometheus prometheus-alertmanager postgresql redis-server")
    assert not debian.exists()


def test_nothing_is_said_when_nothing_is_missing(run: Run, debian: Path, stub: Stub, tmp_path: Path) -> None:
    """apt is not even asked for news."""
    stub("dpkg-query", "printf installed")
    made = services(run, tmp_path)
    assert (made.returncode, made.stdout, debian.exists()) == (0, "", False)


@pytest.mark.parametrize(
    ("fails", "said"),
    [
        ("lint-imports", ["ruff check", "ruff format --check", "lint-imports "]),
        ("ruff", ["ruff check"]),
        ("mypy", None),
    ],
)
def test_the_check_fails_with_the_tool_that_fails(
    run: Run, checkout: Path, stub: Stub, fails: str, said: list[str] | None
) -> None:
    """`make test` fails with the tool, and what comes after a quick one is not run; types are checked beside the
    tests, and nothing runs after them."""
    tools = checkout / ".venv" / "bin"
    tools.mkdir(parents=True)
    for tool in ("ruff", "mypy", "lint-imports", "python"):
        (tools / tool).write_text(f'#!/bin/sh\necho "{tool} $*" >>tools.log\ntest {tool} != {fails}\n')
        (tools / tool).chmod(0o755)
    (tools.parent / ".installed").touch()
    stub("dpkg-query", "printf installed")
    assert run("make", "test").returncode != 0
    log = (checkout / "tools.log").read_text().splitlines()
    assert log == said if said else not [line for line in log if line.startswith("python -m pytest tests/sandbox")]


def test_ci_requires_every_service_from_wherever_it_is_called(run: Run, stub: Stub, tmp_path: Path) -> None:
    """.ci/run goes to its checkout, allows no skip, reads no input and ends as `make test` ends."""
    stub("make", 'echo "$PWD $* $REQUIRE_SERVICES"; read -r line || exit 7')
    called = run("bash", tmp_path / "checkout" / ".ci" / "run", cwd=tmp_path)
    assert called.stdout == f"{tmp_path / 'checkout'} test 1\n"
    assert called.returncode == 7
