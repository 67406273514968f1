"""The bench of the providers: its time, its lost answers, its counts; and a little of each measurement."""

from __future__ import annotations

import asyncio
import random
import time

import pytest

from bench.providers import once, rollback, spending
from bench.providers.once import Ledger
from bench.providers.virtual import LoopClock, run
from bench.providers.wire import HOST, Client, Limit, Road, through
from canary.blocks.registry import open_block
from canary.errors import ProviderUnavailable
from canary.ports import Release
from canary.testing.global_config import GlobalConfigs


def test_deadlines_are_in_virtual_time() -> None:
    """An hour passes in no time, and a time-out of six seconds ends what takes seven."""

    async def wait() -> float:
        await LoopClock().sleep(3600.0)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(6.0):
                await asyncio.sleep(7.0)
        return LoopClock().monotonic()

    began = time.perf_counter()
    assert run(wait()) == pytest.approx(3606.0)
    assert time.perf_counter() - began < 5.0


def test_what_can_never_go_on_is_said() -> None:
    """Nothing sleeps and nothing can run: an error, and no hanging."""

    async def wait() -> None:
        await asyncio.get_running_loop().create_future()

    with pytest.raises(RuntimeError, match="nothing can ever run again"):
        run(wait())


def reached(road: Road) -> tuple[GlobalConfigs, Client, object]:
    """A Global Config's block at the other end of that road."""
    server = GlobalConfigs()
    server.url = HOST
    block = open_block("global-config/flags", server.fields(), LoopClock())
    return server, through(block, Client(server, road)), block


def test_a_lost_answer_had_its_effect() -> None:
    """The block is told that nobody answered, and the items are changed."""

    async def lose() -> None:
        server, client, block = reached(Road(random.Random(1), lost=1.0))
        with pytest.raises(ProviderUnavailable):
            await block.expose(Release('{"phase1_enabled":true}', "{}"), 1.0, 1)  # type: ignore[attr-defined]
        assert server.items["phase1_enabled"] is True
        assert (client.lost, client.statuses[200]) == (1, 1)

    run(lose())


def test_more_than_the_limit_is_refused() -> None:
    """Two in a minute; the third gets 429 and has no effect, and later one goes again."""

    async def ask() -> list[int]:
        _, client, _ = reached(Road(random.Random(1), limits=(Limit("GET", "/items", 2, 60.0),)))
        path, headers = "/v1/global-config/ecfg_docflow/items", {"authorization": "Bearer vercel-t0ken-of-the-config"}
        found = []
        for wait in (0.0, 0.0, 0.0, 61.0):
            await asyncio.sleep(wait)
            answer = await client.send(client.build_request("GET", HOST + path, headers=headers), stream=True)
            found.append(answer.status_code)
        return found

    assert run(ask()) == [200, 200, 429, 200]


def test_an_effect_twice_is_seen() -> None:
    """Of one operation; the same in two operations is right."""
    ledger = Ledger()
    for twice in (1, 2, 1):
        ledger.begin()
        for _ in range(twice):
            ledger.effect("users")
    ledger.begin()
    assert (ledger.operations, ledger.effects, ledger.most) == (3, 4, 2)


@pytest.mark.parametrize("what", once.VENDORS)
def test_every_operation_takes_effect_once(what: str) -> None:
    """A few hundred calls of each vendor, a third of the answers lost, processes that begin anew."""
    found = run(once._counted(what, 1, 300, 60.0))
    assert found.calls >= 300
    assert 0.2 < found.lost / found.calls < 0.4
    assert found.operations > 5
    assert (found.effects, found.most) == (found.operations, 1)


def test_the_way_back_of_all_is_that_of_the_slowest() -> None:
    """From a tenth of the users; Fly's machines are the slowest, and nothing waits for another."""
    back = rollback.backs(5.0, 0.1, 1)
    assert back.alone["api"] == max(back.alone.values())
    assert 5.0 < back.together < 60.0
    assert back.kept


def test_looks_are_counted_by_what_they_ask(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two minutes of looks, one a second: one list of Fly's machines each."""
    monkeypatch.setattr(spending, "HOUR", 120.0)
    found = {(each.target, each.action): each.requests for each in run(spending._fastest())}
    assert found["api", "list machines"] == 120
    assert found["web", "read the project"] == found["web", "read the rolling release"] == 120
    assert found["flags", "read the digest"] == 120
