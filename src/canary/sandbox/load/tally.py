"""Counts what users saw, by the version that served them."""

from __future__ import annotations

from collections import Counter

from canary.sandbox.load.config import Scene
from canary.sandbox.state import Load, Tally

_GATEWAY_TIMEOUT = 504
UNKNOWN = "unknown"


class UserTally:
    """Counters of ordinary users. An answer that docflow did not sign is put down to its colour's version."""

    def __init__(self) -> None:
        self.scene = Scene(versions={}, candidate=None)
        self._counts: Counter[str] = Counter()
        self._by_version: dict[str, Counter[str]] = {}

    def sent(self) -> None:
        self._counts["sent"] += 1

    def shed(self) -> None:
        self._counts["shed"] += 1

    def answered(self, status: int, version: str | None, colour: str | None) -> None:
        """Count a response, by its headers `x-docflow-version` and `x-docflow-colour`."""
        self._counts[_kind(status)] += 1
        self._put(version or self._runs_on(colour), "bad" if status >= 500 else "ok")

    def failed(self, *, late: bool) -> None:
        """No usable answer: nobody can tell whose it would have been."""
        self._counts["timeouts" if late else "broken"] += 1
        self._put(UNKNOWN, "bad")

    def load(self, internal_sent: int) -> Load:
        by_version = {version: Tally(**counts) for version, counts in self._by_version.items()}
        return Load(**self._counts, by_version=by_version, internal_sent=internal_sent)

    def _put(self, version: str, kind: str) -> None:
        self._by_version.setdefault(version, Counter())[kind] += 1

    def _runs_on(self, colour: str | None) -> str:
        return next((v for c, v in self.scene.versions.items() if c == colour and v), UNKNOWN)


class TesterTally:
    """Internal testers are no users: only how much they sent is counted."""

    def __init__(self) -> None:
        self.requests = 0

    def sent(self) -> None:
        self.requests += 1

    def shed(self) -> None: ...

    def answered(self, status: int, version: str | None, colour: str | None) -> None: ...

    def failed(self, *, late: bool) -> None: ...


def _kind(status: int) -> str:
    if status == _GATEWAY_TIMEOUT:
        return "timeouts"
    if status >= 500:
        return "server_errors"
    return "refused" if status >= 400 else "ok"
