"""One HTTP request, for the checks of a plan."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urljoin, urlsplit

from canary.blocks.http import DEADLINE, Answer, Credential, Http, shown_url, within
from canary.errors import ProviderUnavailable
from canary.ports import Response

_HOPS = 5


class HttpProbe:
    """`ports.Probe`: any status is a response; the body is cut at 10 MB; 6 s in all.

    A redirect is followed only to the same scheme, host and port; any other is itself the response, so that
    headers (which may be secret) stay where they were meant for.
    """

    def __init__(self) -> None:
        self._http = Http("probe")

    async def get(self, url: str, headers: Mapping[str, str]) -> Response:
        """Raises ProviderUnavailable when there is no answer."""
        onward = url
        async with within(DEADLINE, f"GET {shown_url(url)}"):
            for _ in range(_HOPS):
                # Errors name what was asked: a server can have put the headers into the path that it sends us to.
                answer = await self._http.send("GET", onward, as_=Credential("headers", headers), named=url)
                target = _same_origin(onward, answer)
                if target is None:
                    return Response(answer.status, answer.headers, answer.text())
                onward = target
        raise ProviderUnavailable(f"GET {shown_url(url)}: more than {_HOPS} redirects", "check the URL of the check")

    async def close(self) -> None:
        """Close the connections."""
        await self._http.close()


def _same_origin(url: str, answer: Answer) -> str | None:
    """Where a redirect leads on the same server; None for any other answer."""
    location = answer.headers.get("location")
    if answer.status not in (301, 302, 303, 307, 308) or not location:
        return None
    try:
        target = urljoin(url, location)
        here, there = urlsplit(url), urlsplit(target)
        same = (here.scheme, here.hostname, here.port) == (there.scheme, there.hostname, there.port)
    except ValueError:
        return None
    return target if same else None
