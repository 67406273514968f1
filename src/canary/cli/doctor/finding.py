"""What a look found: there or missing, in words, and what to do."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Literal

from canary.errors import CanaryError

Standing = Literal["ok", "missing", "warning", "not known"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the doctor's. standing: `missing` stops a rollout; a warning and what is not known do not.

    fix: what to do next; empty when there is nothing to do. Neither text holds a secret.
    """

    what: str
    standing: Standing
    detail: str
    fix: str = ""

    def as_json(self) -> dict[str, str]:
        """For machines; the same words."""
        return asdict(self)


def missing(what: str, error: CanaryError) -> Finding:
    """An error of ours as the doctor's line."""
    return Finding(what, "missing", error.what, error.fix)


async def looked(what: str, within: float, look: Callable[[], Awaitable[Finding]]) -> Finding:
    """What the look found, after `within` seconds at the latest. Never raises: what fails is a finding."""
    try:
        async with asyncio.timeout(within):
            return await look()
    except CanaryError as error:
        return missing(what, error)
    except TimeoutError:
        return Finding(what, "missing", f"no answer within {within:g} s", "is it running, and reachable from here?")
    except Exception as error:
        # A foreign error's message may quote an address or a header: its kind says enough to go on.
        return Finding(what, "missing", f"failed with {type(error).__name__}", "is it what its settings say?")


def as_text(findings: Sequence[Finding]) -> str:
    """A table, each fix under its line; then the sum."""
    width = max(len(finding.what) for finding in findings)
    lines = []
    for finding in findings:
        lines.append(f"{finding.standing:9}  {finding.what:{width}}  {finding.detail}")
        lines += [f"{'':9}  {'':{width}}  → {line}" for line in finding.fix.splitlines()]
    gone = sum(finding.standing == "missing" for finding in findings)
    return "\n".join([*lines, "", f"{gone} missing" if gone else "nothing is missing"])
