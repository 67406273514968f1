"""`canary plan check --live`: what Prefect and the platforms say to a plan. Nothing is changed anywhere."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import cast

from prefect.exceptions import PrefectHTTPStatusError

from canary.blocks.opener import OPENER
from canary.blocks.registry import Block, load_fields, open_block
from canary.blocks.token import ApiToken
from canary.cli.deploying import prefect_api
from canary.errors import BadUsage, CanaryError, Refused
from canary.plan.kinds import KINDS, kind_of
from canary.plan.model import Plan, UiCheck
from canary.plan.units import percent
from canary.ports import Browser, Dashboards, Notifier, Stepwise, Target
from canary.rollout.preflight import Load
from canary.rollout.waiting import PROVIDER_TIMEOUT

Question = Callable[[], Awaitable[str]]
"""Asks one thing; the good news in words. Raises CanaryError for bad news."""

STARTED_WITHIN = 25.0
"""Seconds for Chromium to start: a little more than it is given by itself."""
LOADED_WITHIN = 16.0
"""Seconds for Prefect to give a block: a little more than its loading allows itself."""


@dataclass(frozen=True, slots=True)
class Said:
    """What one block's platform said: the good news, and each problem with what to do next. No text holds a secret."""

    ref: str
    good: tuple[str, ...]
    problems: tuple[str, ...] = ()

    def line(self) -> str:
        """The good news."""
        return f"{self.ref}: {'; '.join(self.good)}"


async def live(plan: Plan) -> Sequence[Said]:
    """What is said to each block that the plan names. Raises BadUsage when Prefect's API cannot be asked for them."""
    try:
        async with prefect_api() as client:
            await client.hello()
    except PrefectHTTPStatusError as error:
        status = error.response.status_code
    else:
        return await asked(plan, load_fields)
    raise BadUsage(f"Prefect's API answered {status}", "correct PREFECT_API_URL, or the key that it asks for")


async def asked(plan: Plan, load: Load, browser: Callable[[], Browser] = OPENER.browser) -> Sequence[Said]:
    """As `live`, of blocks that `load` knows; in the plan's order, all of them at the same time. Never raises."""
    blocks = [_block(ref, plan, load) for ref in plan.block_refs()]
    pages = [_pages_here(browser())] if any(isinstance(check, UiCheck) for check in plan.checks) else []
    return await asyncio.gather(*blocks, *pages)


async def _pages_here(browser: Browser) -> Said:
    """Whether pages can be visited from this machine; the worker's may be another one."""

    async def starts() -> str:
        await browser.check_connection()
        return "Chromium starts on this machine"

    try:
        good, bad = await _answer(starts, STARTED_WITHIN)
    finally:
        await browser.close()
    return Said("browser", (good,)) if good else Said("browser", (), (f"browser, on this machine: {bad}",))


async def _block(ref: str, plan: Plan, load: Load) -> Said:
    opened: list[Block] = []

    async def there() -> str:
        opened.append(open_block(ref, await load(ref)))
        return "there"

    _, bad = await _answer(there, LOADED_WITHIN)
    if bad:
        return Said(ref, (), (_placed(ref, bad),))
    try:
        return await _told(ref, plan, opened[0])
    finally:
        if not isinstance(opened[0], ApiToken):
            await opened[0].close()


async def _told(ref: str, plan: Plan, block: Block) -> Said:
    """One question after the other, as a platform's limits want it; a block that is not reached is asked no more."""
    good, bad = await _answer(partial(_reached, ref, block))
    if bad:
        return Said(ref, (), (_placed(ref, bad),))
    answers = [await _answer(question) for question in _questions(ref, plan, block)]
    found = (good, *(said for said, _ in answers if said))
    return Said(ref, found, tuple(_placed(ref, why) for _, why in answers if why))


def _questions(ref: str, plan: Plan, block: Block) -> Iterator[Question]:
    """What preflight asks, too, in each role that the plan has for the block."""
    if ref in plan.notify.page:
        yield partial(_pages, cast(Notifier, block))
    if ref == plan.dashboards:
        yield partial(_writes, cast(Dashboards, block))
    if KINDS[kind_of(ref)].role != "target":
        return
    yield partial(_serves, ref, cast(Target, block))
    if isinstance(block, Stepwise):
        for share in dict.fromkeys(phase.exposure for phase in plan.phases):
            yield partial(_takes, block, share)


async def _answer(question: Question, within: float = PROVIDER_TIMEOUT) -> tuple[str, str]:
    """The good news and "", or "" and the problem with its remedy."""
    try:
        async with asyncio.timeout(within):
            return await question(), ""
    except CanaryError as error:
        return "", str(error)
    except TimeoutError:
        return "", f"no answer within {within:g} s\n  → is it running, and reachable from here?"
    except Exception as error:
        # A foreign error's message may quote an address or a header: its kind says enough to go on.
        return "", f"failed with {type(error).__name__}"


async def _reached(ref: str, block: Block) -> str:
    await block.check_connection()
    return "there; whether it is good shows in the check that sends it" if isinstance(block, ApiToken) else "answers"


async def _pages(block: Notifier) -> str:
    await block.check_paging()
    return "can page"


async def _writes(block: Dashboards) -> str:
    await block.check_writing()
    return "dashboards can be written"


async def _serves(ref: str, block: Target) -> str:
    """What the way back would be. Items that are on or off have no version to name."""
    exposure = await block.observe()
    stable = exposure.serving()
    if stable is None:
        split = ", ".join(f"{identity} {percent(share)}" for identity, share in exposure.shares.items())
        raise Refused(
            f"{ref} is split between versions ({split}): there is no stable one to go back to",
            "finish or roll back what split it",
        )
    return "can be observed" if KINDS[kind_of(ref)].share == "boolean" else f"{stable} serves everybody"


async def _takes(block: Stepwise, share: float) -> str:
    await block.takes(share)
    return f"can show {percent(share)}"


def _placed(ref: str, problem: str) -> str:
    """Our errors name their block, but for some of those of metrics."""
    return problem if ref in problem else f"{ref}: {problem}"
