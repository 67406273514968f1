"""The load generator process: open loop, bounded, seeded.

Its clients wait longer than the router's 5 s: a hanging server is seen as the router's 504, with its colour.
"""

from __future__ import annotations

import asyncio
import random
import signal
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import aiohttp

from canary.sandbox.envoy import CLUSTER_HEADER, INTERNAL_HEADER, USER_HEADER
from canary.sandbox.load.config import LoadConfig, Scene
from canary.sandbox.load.subscriber import SUBSCRIBERS, Subscriber
from canary.sandbox.load.tally import TesterTally, UserTally
from canary.sandbox.load.visitor import REQUESTS_PER_ACTION, Visitor
from canary.sandbox.wire import ADMIN_EVERY, user_id

TESTER_RPS = 10.0
_TICK_SECONDS = 0.01
_REPORT_SECONDS = 0.25
_MOST_UNDER_WAY = 1000
_CLIENT_TIMEOUT_SECONDS = 6.0
_BURST_SECONDS = 0.2
# Of all actions; admins are few, and here much more often than others.
_ADMIN_SHARE = 0.1


@dataclass
class Stream:
    """A flow of actions at a rate of requests per second, whatever the answers do."""

    rps: float
    begin: Callable[[], Visitor]
    shed: Callable[[], None]
    credit: float = 0.0

    def __post_init__(self) -> None:
        self._under_way: set[asyncio.Task[None]] = set()

    def advance(self, seconds: float) -> None:
        """Begin the actions that are due. Too many under way: they are shed, and counted."""
        self.credit = min(self.credit + self.rps * seconds, self.rps * _BURST_SECONDS + REQUESTS_PER_ACTION)
        while self.credit >= REQUESTS_PER_ACTION:
            self.credit -= REQUESTS_PER_ACTION
            if len(self._under_way) >= _MOST_UNDER_WAY:
                self.shed()
                continue
            task = asyncio.create_task(self._run(self.begin()))
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)

    async def _run(self, visitor: Visitor) -> None:
        await visitor.act()
        # A mean was charged at the start; what the action really sent is known now.
        self.credit += REQUESTS_PER_ACTION - visitor.requests


class Generator:
    """Ordinary users on the router, and internal testers on the candidate while there is one."""

    def __init__(self, config: LoadConfig, http: aiohttp.ClientSession) -> None:
        self._config = config
        self._http = http
        self._random = random.Random(config.seed)
        self._users = UserTally()
        self._testers = TesterTally()

    def learn(self, scene: Scene) -> None:
        self._users.scene = scene

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        users = Stream(self._config.rps, self._user, self._users.shed)
        testers = Stream(TESTER_RPS, self._tester, self._testers.shed)
        last = reported = loop.time()
        while True:
            await asyncio.sleep(_TICK_SECONDS)
            now = loop.time()
            users.advance(now - last)
            if self._users.scene.candidate:
                testers.advance(now - last)
            if now - reported >= _REPORT_SECONDS:
                reported = now
                self._report()
            last = now

    def _report(self) -> None:
        print(self._users.load(self._testers.requests).model_dump_json(), flush=True)  # noqa: T201

    async def subscribe(self) -> None:
        """Keep a bounded number of sockets open; none where there are no users."""
        count = SUBSCRIBERS if self._config.rps else 0
        each = (Subscriber(self._http, self._random, self._anybody) for _ in range(count))
        await asyncio.gather(*(subscriber.run() for subscriber in each))
        await asyncio.Event().wait()

    def _user(self) -> Visitor:
        return self._visitor(self._users, self._anybody())

    def _anybody(self) -> dict[str, str]:
        number = self._random.randrange(self._config.users)
        if self._random.random() < _ADMIN_SHARE:
            number -= number % ADMIN_EVERY
        return {USER_HEADER: user_id(number)}

    def _tester(self) -> Visitor:
        who = {
            USER_HEADER: "internal-tester",
            INTERNAL_HEADER: self._config.internal_token,
            CLUSTER_HEADER: str(self._users.scene.candidate),
        }
        return self._visitor(self._testers, who)

    def _visitor(self, ledger: UserTally | TesterTally, who: Mapping[str, str]) -> Visitor:
        return Visitor(self._http, self._random, ledger, who, self._config.docflow_token)


async def _listen(generator: Generator) -> None:
    """Learn each Scene from standard input. Returns when the supervisor closes it."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    async for line in reader:
        generator.learn(Scene.model_validate_json(line))


async def _serve(config: LoadConfig) -> None:
    connector = aiohttp.TCPConnector(limit=0)
    timeout = aiohttp.ClientTimeout(total=_CLIENT_TIMEOUT_SECONDS)
    async with aiohttp.ClientSession(
        config.router_url, connector=connector, timeout=timeout, cookie_jar=aiohttp.DummyCookieJar()
    ) as http:
        generator = Generator(config, http)
        running = asyncio.create_task(generator.run())
        subscribing = asyncio.create_task(generator.subscribe())
        listening = asyncio.create_task(_listen(generator))
        done, _ = await asyncio.wait((running, subscribing, listening), return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()


def _first_line() -> bytes:
    """Unbuffered: what follows must stay in the pipe for the event loop."""
    with open(0, "rb", buffering=0, closefd=False) as raw:
        return raw.readline()


def main() -> None:
    """One load generator process, until its standard input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    config = LoadConfig.model_validate_json(_first_line())
    asyncio.run(_serve(config))


if __name__ == "__main__":
    main()
