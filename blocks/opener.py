"""How the domain gets its adapters: made from plain fields, without any I/O and without Prefect's API."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from canary.blocks.browser import Chromium
from canary.blocks.clock import SystemClock
from canary.blocks.evidence import Folder
from canary.blocks.probe import HttpProbe
from canary.blocks.registry import open_block
from canary.blocks.token import ApiToken
from canary.rollout.adapters import Opener
from canary.settings import Settings


def _bearer(ref: str, fields: Mapping[str, Any]) -> Mapping[str, str]:
    return ApiToken.from_fields(ref, fields).header()


def _evidence() -> Folder:
    return Folder(Settings.from_env(os.environ).evidence)


def _browser() -> Chromium:
    return Chromium(Settings.from_env(os.environ).home / "visits")


OPENER = Opener(block=open_block, probe=HttpProbe, browser=_browser, evidence=_evidence, bearer=_bearer)
CLOCK = SystemClock()
