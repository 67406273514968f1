"""What every test runs under: real programs or a skip, no network but loopback, seeded examples."""

from __future__ import annotations

import ipaddress
import os
import shutil
import socket
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

settings.register_profile("house", derandomize=True, deadline=None)
settings.load_profile("house")

# Program → the Debian package that brings it. The Makefile installs these packages.
PACKAGES = {
    "prometheus": "prometheus",
    "promtool": "prometheus",
    "prometheus-alertmanager": "prometheus-alertmanager",
    "amtool": "prometheus-alertmanager",
    "chromium": "chromium",
    "initdb": "postgresql",
    "postgres": "postgresql",
    "redis-server": "redis-server",
}


COLLECTED = pytest.StashKey[set[str]]()
PARTS = {
    "prefect": ("tests/prefect/",),
    "demo": (
        "tests/e2e/test_demo_interrupted.py",
        "tests/house/test_wheel.py",
        "tests/prefect/test_chaos_real.py",
    ),
    "long": (
        "tests/e2e/test_demo_providers.py",
        "tests/e2e/test_demo_providers_promoted.py",
        "tests/e2e/test_fencing.py",
        "tests/prefect/test_planted_secrets.py",
        "tests/providers/vercel/test_vercel_clients.py",
    ),
    "alone": (
        "tests/sandbox/test_sandbox_faults.py",
        "tests/sandbox/test_sandbox_features.py",
        "tests/sandbox/test_sandbox_flags.py",
        "tests/sandbox/test_sandbox_live.py",
        "tests/sandbox/test_sandbox_load.py",
        "tests/sandbox/test_sandbox_router.py",
        "tests/e2e/test_real_prometheus.py",
    ),
}


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """`make test` runs at the same time what can bear it. What was found is kept before any of it is deselected."""
    config.stash[COLLECTED] = {item.nodeid.partition("[")[0] for item in items}
    for item in items:
        for part, places in PARTS.items():
            if item.nodeid.startswith(places):
                item.add_marker(part)


@pytest.fixture(scope="session")
def all_collected(pytestconfig: pytest.Config) -> set[str] | None:
    """Every test of the suite, without its parameters; None when only some files were asked for."""
    whole = pytestconfig.args_source is pytest.Config.ArgsSource.TESTPATHS
    return pytestconfig.stash[COLLECTED] if whole else None


@pytest.fixture(scope="session")
def parts() -> dict[str, tuple[str, ...]]:
    """Mark → the places whose tests have it, and a run of their own in `make test`."""
    return PARTS


@pytest.fixture(scope="session")
def require() -> Callable[[str], Path]:
    """`require("prometheus")` → the program's path. Skips where it is missing, naming the package."""
    # Debian keeps Postgres's own programs out of PATH, one folder a version.
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    path = os.pathsep.join([os.environ.get("PATH", ""), *map(str, folders)])

    def find(program: str) -> Path:
        found = shutil.which(program, path=path)
        if found is None:
            pytest.skip(f"{program} is missing: apt install {PACKAGES[program]}")
        return Path(found)

    return find


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """With REQUIRE_SERVICES=1 a skip is a failure: what did not run has not passed."""
    report = yield
    if report.skipped and os.environ.get("REQUIRE_SERVICES") == "1" and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome, report.longrepr = "failed", f"REQUIRE_SERVICES=1 forbids a skip. {reason}"
    return report


def is_local(host: Any) -> bool:
    """Whether a socket host (name, address or bytes of it) stays on this machine."""
    name = host.decode() if isinstance(host, bytes) else host
    if name in (None, "", "localhost"):
        return True
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified


@pytest.fixture(scope="session", autouse=True)
def loopback_only() -> Generator[None]:
    """A connection that would leave this machine fails the test; a name but localhost does not resolve."""
    connect, connect_ex, resolve = socket.socket.connect, socket.socket.connect_ex, socket.getaddrinfo

    def guarded(original: Callable[..., Any]) -> Callable[..., Any]:
        def call(self: socket.socket, address: Any) -> Any:
            if self.family in (socket.AF_INET, socket.AF_INET6) and not is_local(address[0]):
                pytest.fail(f"a test connects to {address[0]}: only loopback is allowed")
            return original(self, address)

        return call

    def getaddrinfo(host: Any, *args: Any, **kwargs: Any) -> Any:
        if not is_local(host):
            raise socket.gaierror(socket.EAI_NONAME, f"tests resolve no name but localhost, not {host!r}")
        return resolve(host, *args, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", guarded(connect))
        patch.setattr(socket.socket, "connect_ex", guarded(connect_ex))
        patch.setattr(socket, "getaddrinfo", getaddrinfo)
        yield
