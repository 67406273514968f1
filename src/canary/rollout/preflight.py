"""Before anything is touched: credentials found, sealed and read back, targets reachable, the release fixed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable

from canary.errors import MeasurementFailed, ProviderError, Refused
from canary.plan.kinds import KINDS, kind_of
from canary.plan.model import Plan, UiCheck
from canary.ports import Browser, Clock, Stepwise, Target, Vault
from canary.rollout.adapters import Adapters, Fields, Opener, open_adapters
from canary.rollout.events import Identities, PreflightPassed
from canary.rollout.waiting import PROVIDER_TIMEOUT, within

BROWSER_TIMEOUT = 20.0
"""Seconds for a browser to start on a busy machine."""
Load = Callable[[str], Awaitable[Fields]]
"""Block reference → its fields, from where people edit them. Raises CredentialError or ProviderUnavailable."""


async def seal(plan: Plan, rollout: str, load: Load, vault: Vault, opener: Opener) -> Adapters:
    """Every block the plan can need, sealed, and read back the way the guard will.

    Raises CredentialError, ProviderUnavailable, VaultError.
    """
    refs = plan.block_refs()
    fields = await asyncio.gather(*(load(ref) for ref in refs))
    await vault.seal(rollout, dict(zip(refs, fields, strict=True)))
    return open_adapters(plan, await vault.open(rollout), opener)


async def preflight(plan: Plan, version: str, adapters: Adapters, clock: Clock) -> PreflightPassed:
    """Everything answers, and the way back is known. Raises Refused (or CredentialError): nothing was touched."""
    connections = adapters.connections(plan)
    reached = [_reach(ref, adapter.check_connection(), clock) for ref, adapter in connections.items()]
    await asyncio.gather(*reached, _browser(plan, adapters.browser, clock))
    if adapters.dashboards:
        await _reach(plan.dashboards, adapters.dashboards.check_writing(), clock)
    await asyncio.gather(*(route.check_paging() for route in adapters.page.values()))
    names = list(plan.targets)
    shares = [phase.exposure for phase in plan.phases]
    await asyncio.gather(*(_takes(n, adapters.targets[n], shares, clock) for n in names))
    found = await asyncio.gather(*(_stable(n, adapters.targets[n], clock) for n in names))
    release = {
        name: Identities(candidate=plan.candidate(name, version), stable=stable)
        for name, stable in zip(names, found, strict=True)
    }
    for name, identities in release.items():
        if identities.candidate == identities.stable:
            raise Refused(
                f"target {name} already serves {identities.stable} to everybody",
                "start a rollout of another version",
            )
    return PreflightPassed(release=release, stable_version=_stable_version(plan, release), sealed=plan.block_refs())


async def _browser(plan: Plan, browser: Browser, clock: Clock) -> None:
    """What looks at pages must be able to; a plan may go without, and says so."""
    names = [check.name for check in plan.checks if isinstance(check, UiCheck)]
    if not names:
        return
    try:
        await within(clock, BROWSER_TIMEOUT, browser.check_connection())
    except TimeoutError:
        why, fix = f"the browser did not start within {BROWSER_TIMEOUT:.0f} s", "does it start by hand?"
    except Refused as error:
        why, fix = error.what, error.fix
    else:
        return
    listed = ", ".join(repr(name) for name in names)
    raise Refused(f"{why}; it is needed for {listed}", f"{fix}; or list these checks in the plan under without")


async def _reach(ref: str, checked: Awaitable[None], clock: Clock) -> None:
    try:
        await within(clock, PROVIDER_TIMEOUT, checked)
    except TimeoutError:
        raise Refused(f"{ref} did not answer within {PROVIDER_TIMEOUT:.0f} s", "is it running and reachable?") from None
    except (ProviderError, MeasurementFailed) as error:
        raise Refused(f"{ref} cannot be used: {error.what}", error.fix or "is it running and reachable?") from error


async def _takes(name: str, target: Target, shares: Iterable[float], clock: Clock) -> None:
    """Every phase's exposure is one that the target can show. A target that splits at any share is not asked."""
    if not isinstance(target, Stepwise):
        return
    try:
        for share in dict.fromkeys(shares):
            await within(clock, PROVIDER_TIMEOUT, target.takes(share))
    except (TimeoutError, ProviderError) as error:
        why = getattr(error, "what", f"no answer within {PROVIDER_TIMEOUT:.0f} s")
        what = f"target {name} does not say which shares it can show: {why}"
        raise Refused(what, "is it running and reachable?") from error


async def _stable(name: str, target: Target, clock: Clock) -> str:
    try:
        exposure = await within(clock, PROVIDER_TIMEOUT, target.observe())
    except (TimeoutError, ProviderError) as error:
        why = getattr(error, "what", f"no answer within {PROVIDER_TIMEOUT:.0f} s")
        raise Refused(f"target {name} cannot be observed: {why}", "is it running and reachable?") from error
    stable = exposure.serving()
    if stable is None:
        split = ", ".join(f"{identity} {share:.1%}" for identity, share in exposure.shares.items())
        raise Refused(
            f"target {name} is split between versions ({split}): there is no stable one to go back to",
            "finish or roll back what split it, then start again",
        )
    return stable


def _stable_version(plan: Plan, release: dict[str, Identities]) -> str:
    """The version that the baseline arm's metrics carry: the stable identity of the first target that has versions."""
    versioned = [n for n, spec in plan.targets.items() if KINDS[kind_of(spec.use)].share != "boolean"]
    if not versioned:
        raise Refused("no target has a version to compare with", "add a target that serves the release")
    # Of an image: what stands behind the name, and before the digest.
    return release[versioned[0]].stable.partition("@")[0].rpartition(":")[2]
