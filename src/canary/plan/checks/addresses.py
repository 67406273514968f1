"""Addresses and paths without secrets: a plan is stored in the journal, and shown, in clear."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import parse_qsl, urlsplit

from canary.plan.checklist import UrlEvidence
from canary.plan.model import HttpCheck, MetricsCheck, Plan, UiCheck
from canary.plan.problems import Path, Problem

_SECRET_NAME = re.compile(
    r".*(token|secret|passw(or)?d|passphrase|(api|access|private|auth|secret)key|signature|credentials?|jwt)"
    r"|key|sig|auth|authorization|pass|pwd|session(id)?"
)
"""Of a parameter, in small letters without anything between them."""


def addresses(plan: Plan) -> Iterator[Problem]:
    """Every parameter that is called as a secret would be. No problem repeats its value."""
    for path, address in _all(plan):
        parts = urlsplit(address)
        names = [name for text in (parts.query, parts.fragment) for name, _ in parse_qsl(text, keep_blank_values=True)]
        for name in names:
            if _SECRET_NAME.fullmatch(re.sub(r"[^a-z]", "", name.lower())):
                what = (
                    f"the parameter {name!r} looks like a secret, and a plan is stored and shown in clear; leave it out"
                )
                yield Problem(
                    path, f"{what}: a secret belongs into a block, and a check sends it as bearer: token/NAME"
                )


def _all(plan: Plan) -> Iterator[tuple[Path, str]]:
    """Every place of the plan where a query may stand."""
    for number, phase in enumerate(plan.phases):
        for index, check in enumerate(phase.checks):
            path: Path = ("phases", number, "checks", index)
            match check:
                case HttpCheck():
                    yield (*path, "get"), check.get
                case MetricsCheck():
                    yield (*path, "path"), check.path
                case UiCheck():
                    yield (*path, "open"), check.open
    for index, item in enumerate(plan.checklist):
        if isinstance(item.evidence, UrlEvidence):
            yield ("checklist", index, "evidence", "url"), item.evidence.url
    if plan.announce:
        yield from ((("announce", "links", title), link) for title, link in plan.announce.links.items())
        yield ("announce", "feedback"), plan.announce.feedback
