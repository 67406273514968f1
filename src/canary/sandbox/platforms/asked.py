"""What a local server was asked, counted by method and path template. Pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from aiohttp import web

from canary.testing.provider import Asked

_SAID = ("v", "api", "verb", "path")
"""Parts of a path that say what is asked, and not of which one: they are shown as they came."""
_PART = re.compile(r"\{(\w+)(?::([^{}]+))?\}")


def counted(log: Iterable[Asked], routes: Sequence[web.RouteDef]) -> dict[str, int]:
    """`METHOD path template` → how often it came, the most frequent first. What no route takes is named so."""
    known = [(route, re.compile(_PART.sub(_group, route.path))) for route in routes]
    counts = Counter(f"{asked.method} {_template(asked, known)}" for asked in log)
    return dict(counts.most_common())


def _template(asked: Asked, known: Sequence[tuple[web.RouteDef, re.Pattern[str]]]) -> str:
    for route, pattern in known:
        if route.method in (asked.method, "*") and (found := pattern.fullmatch(asked.path)):
            return _PART.sub(lambda part: _shown(part[1], found.groupdict()), route.path)
    return "(a path that is not spoken here)"


def _group(part: re.Match[str]) -> str:
    return f"(?P<{part[1]}>{part[2] or '[^/]+'})"


def _shown(name: str, found: Mapping[str, str]) -> str:
    return found[name] if name in _SAID else f"{{{name}}}"
