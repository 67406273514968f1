"""How the domain gets its adapters: made from plain fields, without any I/O and without Prefect's API."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from canary.blocks.browser import Chromium
from canary.blocks.clock import SystemClock
from canary.blocks.probe import HttpProbe
from canary.blocks.registry import open_block
from canary.blocks.token import ApiToken
from canary.rollout.adapters import Opener


def _bearer(ref: str, fields: Mapping[str, Any]) -> Mapping[str, str]:
    return ApiToken.from_fields(ref, fields).header()


OPENER = Opener(block=open_block, probe=HttpProbe, browser=Chromium, bearer=_bearer)
CLOCK = SystemClock()
