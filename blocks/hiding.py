"""Secrets in what a platform repeats, found in every form in which platforms repeat them.

A gateway that refuses a request likes to show it: as it came, escaped for JSON, HTML or a URL, or in base64.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from html.entities import codepoint2name

HIDDEN = "***"
SHORTEST = 8
"""Characters of a header's value from which on it is taken for a secret: shorter ones are names, such as green."""

LOOKED_AT, UNSURE = 64 * 1024, 8 * 1024
"""Characters of a text that are looked through; and at the end of a longer one, how many are not shown."""


class Hider:
    """Knows the secrets of one block, and replaces them."""

    def __init__(self, secrets: Iterable[str]) -> None:
        self._secrets = frozenset(secret for secret in secrets if secret)

    def __repr__(self) -> str:
        return f"Hider({len(self._secrets)} secrets)"

    def hide(self, text: str) -> str:
        """The text with *** for every secret."""
        return self._pattern.sub(HIDDEN, text) if self._secrets else text

    def shown(self, text: str, length: int) -> str:
        """The first so many characters, on one line, with *** for every secret."""
        line = re.sub(r"[\x00-\x1f\x7f-\x9f\s]+", " ", text).strip()
        hidden = self.hide(line[:LOOKED_AT])
        # Where the text was cut, a part of a secret may stand.
        whole = hidden if len(line) <= LOOKED_AT else hidden[:-UNSURE]
        return whole[:length]

    def holds(self, text: str) -> bool:
        """Whether a secret stands in the text."""
        return bool(self._secrets) and self._pattern.search(text) is not None

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        # The longest first: a secret may begin with another one.
        forms = sorted({form for secret in self._secrets for form in _forms(secret)}, key=len, reverse=True)
        return re.compile("|".join(forms))


def in_headers(headers: Mapping[str, str]) -> frozenset[str]:
    """What may be secret in headers: their values, and the word behind Bearer or Basic."""
    parts = (part for value in headers.values() for part in (value, value.rpartition(" ")[2]))
    return frozenset(part for part in parts if len(part) >= SHORTEST)


def _forms(secret: str) -> Iterator[str]:
    """Regular expressions: the secret, and the part of it that stands in the base64 of any text around it."""
    yield _escaped(secret)
    for before in range(3):
        padded = base64.b64encode(bytes(before) + secret.encode()).decode()
        whole = padded[-(-before * 8 // 6) : (before + len(secret.encode())) * 8 // 6]
        if len(whole) >= SHORTEST:
            yield "".join(_escaped_one(c, "-" if c == "+" else "_" if c == "/" else "") for c in whole)


def _escaped(text: str) -> str:
    return "".join(_escaped_one(c) for c in text)


def _escaped_one(character: str, instead: str = "") -> str:
    """The character or its substitute, after backslashes, or as an escape of JSON, URLs or HTML, made up to four times.

    Not more often: patterns without an end take a quadratic time over a text that is made for them.
    """
    code, name = ord(character), codepoint2name.get(ord(character), "apos" if character == "'" else "")
    escapes = [rf"%(?:25){{0,3}}(?i:{code:02x})", rf"\\{{1,8}}(?i:u{code:04x}|x{code:02x})", rf"\\{{1,8}}{code:03o}"]
    named = [f"{name};"] if name else []
    entities = "|".join([rf"#0{{0,4}}{code};", rf"#[xX]0{{0,4}}(?i:{code:x});", *named])
    plain = rf"\\{{0,8}}[{re.escape(character + instead)}]"
    return f"(?:{'|'.join([plain, *escapes])}|&(?:amp;){{0,3}}(?:{entities}))"
