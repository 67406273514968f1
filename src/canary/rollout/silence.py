"""For how long the journal has not answered."""

from __future__ import annotations

from typing import Literal

from canary.ports import Clock

Asked = Literal["read", "write", "renew"]


class Silence:
    """Counted by what was asked of it, from the first question without an answer: on a full disk it can be read, and
    takes no line."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.lease_ends = float("inf")
        """On the monotonic clock: whoever is not heard until then may be taken for dead."""
        self._since: dict[Asked, float] = {}

    def goes_on(self, asked: Asked, since: float) -> None:
        """There was no answer to what was asked then, on the monotonic clock."""
        self._since.setdefault(asked, since)

    def ends(self, asked: Asked) -> None:
        """There was one."""
        self._since.pop(asked, None)

    def of(self, asked: Asked) -> float:
        """Seconds; 0 when it was answered the last time."""
        since = self._since.get(asked)
        return 0.0 if since is None else self.clock.monotonic() - since

    @property
    def left(self) -> float:
        """Seconds until the lease runs out."""
        return self.lease_ends - self.clock.monotonic()

    @property
    def seconds(self) -> float:
        """The longest one."""
        return max((self.of(asked) for asked in self._since), default=0.0)
