"""From a reference "kind/name" to a block: made from plain values, or loaded from and saved to Prefect."""

from __future__ import annotations

import asyncio
import difflib
import re
from collections.abc import Coroutine, Mapping
from typing import Any, TypeVar, cast

import httpx
from prefect.exceptions import PrefectException
from prefect.settings import get_current_settings
from pydantic import ValidationError

from canary.blocks.base import wrong_field
from canary.blocks.envoy import EnvoyRoute
from canary.blocks.flags import FlagService
from canary.blocks.fly import FlyApp
from canary.blocks.global_config import GlobalConfig
from canary.blocks.grafana import GrafanaServer
from canary.blocks.prometheus import PrometheusServer
from canary.blocks.scraper import MetricsScraper
from canary.blocks.slack import Slack
from canary.blocks.terminal import Terminal
from canary.blocks.token import ApiToken
from canary.blocks.vercel import VercelProject
from canary.errors import CredentialError, ProviderUnavailable, Refused
from canary.ports import Clock

Block = (
    EnvoyRoute
    | FlagService
    | FlyApp
    | GlobalConfig
    | GrafanaServer
    | MetricsScraper
    | PrometheusServer
    | Slack
    | Terminal
    | VercelProject
    | ApiToken
)

BLOCKS: dict[str, type[Block]] = {
    "envoy": EnvoyRoute,
    "flags": FlagService,
    "fly": FlyApp,
    "vercel": VercelProject,
    "global-config": GlobalConfig,
    "scraper": MetricsScraper,
    "prometheus": PrometheusServer,
    "grafana": GrafanaServer,
    "terminal": Terminal,
    "slack": Slack,
    "token": ApiToken,
}

T = TypeVar("T")
_PREFECT_SECONDS = 15.0
"""Nothing that keeps users safe asks Prefect for a block, so that a busy server may take its time."""


def open_block(ref: str, fields: Mapping[str, Any], clock: Clock | None = None) -> Block:
    """The block of that reference, made from plain values. No I/O.

    Raises Refused for a kind that does not exist, CredentialError for a wrong field.
    """
    return block_class(ref).from_fields(ref, fields, clock)


async def load_fields(ref: str) -> dict[str, Any]:
    """The plain values, secrets in clear, of the block document in Prefect.

    Raises Refused (kind), CredentialError (no such block, or a wrong field) and ProviderUnavailable (no
    answer from Prefect's API within 15 s).
    """
    cls, name = block_class(ref), block_name(ref)
    try:
        return cast(Block, await _prefect(ref, cls.aload(name))).fields()
    except RuntimeError as error:
        # Prefect's words for a document with a wrong field, such as one made in its UI.
        failure = wrong_field(ref, error.__cause__) if isinstance(error.__cause__, ValidationError) else None
        if failure is None:
            raise
    except ValueError:
        kind = cls.get_block_type_name()
        failure = CredentialError(ref, "name", f"there is no such block: make a {kind!r} named {name!r}")
    # Outside of the handlers: what pydantic raises still has the values, and would be the context of this error.
    raise failure


async def save(ref: str, fields: Mapping[str, Any]) -> None:
    """Create the block document in Prefect, or overwrite it. Raises as `open_block` and `load_fields` do."""
    block, name = open_block(ref, fields), block_name(ref)
    await _prefect(ref, block.asave(name, overwrite=True))


def block_class(ref: str) -> type[Block]:
    """What makes blocks of that kind. Raises Refused for a kind that does not exist."""
    kind = ref.partition("/")[0]
    if kind in BLOCKS:
        return BLOCKS[kind]
    near = difflib.get_close_matches(kind, BLOCKS, 1)
    hint = f"; did you mean {near[0]}?" if near else ""
    raise Refused(f"block {ref}: there is no kind {kind!r}", f"there are {', '.join(BLOCKS)}{hint}")


def block_name(ref: str) -> str:
    """The document's name. Raises CredentialError. Source: Prefect takes lower-case letters, digits and dashes."""
    name = ref.partition("/")[2]
    if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name):
        raise CredentialError(ref, "name", "a block is named kind/name, the name in a-z, 0-9 and dashes")
    return name


async def _prefect(ref: str, work: Coroutine[Any, Any, T]) -> T:
    """Prefect's failures as ours, within 15 s. With no API set, Prefect would start an empty server."""
    if not get_current_settings().api.url:
        work.close()
        raise ProviderUnavailable(
            f"block {ref}: no Prefect API is set",
            "set PREFECT_API_URL to your Prefect server's address, or start one with: canary up",
        )
    try:
        async with asyncio.timeout(_PREFECT_SECONDS):
            return await work
    except TimeoutError:
        why = "no answer within 15 s"
    except (httpx.HTTPError, PrefectException) as error:
        why = type(error).__name__
    # Outside of the handlers: what httpx raises has the request, and would be the context of this error.
    raise ProviderUnavailable(
        f"block {ref}: Prefect's API gave no usable answer: {why}",
        "check PREFECT_API_URL and that the server is up",
    )
