"""Whether a secret can be read in something: in clear, escaped, or encoded as programs encode what they pass on."""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from urllib.parse import quote, unquote

_TIMES = 4
"""How often text is taken to be escaped, at most."""


def leaked(secrets: Mapping[str, str], content: bytes) -> list[str]:
    """The names of the secrets that stand in the content in some form, sorted. For files of any size."""
    return sorted(name for name, secret in secrets.items() if any(form in content for form in forms(secret)))


def told(secrets: Iterable[str], text: str) -> list[str]:
    """The secrets that a reader gets out of the text, also by undoing escapes of its own choice."""
    undone = list(_undone(text))
    return [s for s in secrets if any(s in each for each in undone) or leaked({s: s}, text.encode(errors="replace"))]


@cache
def forms(secret: str) -> frozenset[bytes]:
    """The secret as it is, escaped for URLs, JSON and HTML, and what of its base64 does not depend on its place."""
    once = json.dumps(secret)[1:-1]
    texts = {secret, quote(secret), quote(secret, safe=""), once, json.dumps(once)[1:-1], html.escape(secret)}
    return frozenset(text.encode() for text in texts) | frozenset(_base64(secret.encode()))


def _base64(secret: bytes) -> Iterator[bytes]:
    for before in range(3):
        encoded = base64.b64encode(bytes(before) + secret)
        # Six bits a character: those that hold bits of what stands around the secret are left out.
        inside = encoded[-(-before * 8 // 6) : (before + len(secret)) * 8 // 6]
        yield inside
        yield inside.translate(bytes.maketrans(b"+/", b"-_"))


def _undone(text: str) -> Iterator[str]:
    for _ in range(_TIMES):
        yield text
        yield unquote(text)
        yield html.unescape(text)
        text = re.sub(r"\\+u([0-9a-fA-F]{4})", lambda found: chr(int(found[1], 16)), text)
        yield re.sub(r"\\+(.)", r"\1", text)
        text = html.unescape(unquote(text))
