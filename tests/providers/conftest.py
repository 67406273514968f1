"""Requests to providers, held against OpenAPI: our description of what we use, and the vendor's own where it is there.

contracts/NAME.yaml describes, in our words, every request that our blocks send; it is always held. When VENDOR_SPECS
names a folder with the vendors' published specifications, every request is held against those, too, with
contracts/NAME-overlay.yaml laid over them for what they are known to lack.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from openapi_core import Config, OpenAPI
from openapi_core.exceptions import OpenAPIError
from openapi_core.testing import MockRequest
from ruamel.yaml import YAML

from canary.testing.provider import Asked

CONTRACTS = Path(__file__).with_name("contracts")
SPECS = {
    "vercel": "vercel-openapi.json",
    "fly": "fly-machines-openapi3.json",
    "grafana": "grafana-openapi3-converted.json",
}
"""The vendors' files, as they publish them."""


class Contract:
    """One API description. `base` is what its server's address ends with, such as /v1."""

    def __init__(self, spec: dict[str, Any], base: str) -> None:
        self._base = base
        spec["servers"] = [{"url": f"http://provider.invalid{base}"}]
        self._api = OpenAPI.from_dict(spec, config=Config(spec_validator_cls=None))

    def hold(self, asked: Asked) -> None:
        """Raises AssertionError, saying what the description does not allow."""
        try:
            self._api.validate_request(_request(asked))
        except OpenAPIError as error:
            why = f"{error}: {error.__cause__ or ''} {getattr(error.__cause__, 'schema_errors', '')}"
            raise AssertionError(f"{asked.method} {asked.path}?{urlencode(asked.query)}: {why}") from error


def _request(asked: Asked) -> MockRequest:
    return MockRequest(
        "http://provider.invalid",
        asked.method.lower(),
        asked.path,
        args=dict(asked.query),
        headers=dict(asked.headers),
        data=asked.body or None,
        content_type=asked.headers.get("content-type", "").partition(";")[0],
    )


@cache
def _contracts(name: str, base: str) -> tuple[Contract, ...]:
    own = [Contract(_yaml(f"{name}.yaml"), base)]
    specs = os.environ.get("VENDOR_SPECS")
    if not specs:
        return tuple(own)
    spec = json.loads((Path(specs) / SPECS[name]).read_text())
    return (*own, Contract(_laid_over(spec, _yaml(f"{name}-overlay.yaml")), base))


def _yaml(name: str) -> Any:
    return YAML(typ="safe", pure=True).load(CONTRACTS / name)


def _laid_over(below: Any, above: Any) -> Any:
    if not (isinstance(below, Mapping) and isinstance(above, Mapping)):
        return above
    return {**below, **{key: _laid_over(below.get(key), value) for key, value in above.items()}}


@pytest.fixture(scope="session")
def hold() -> Callable[[str, Iterable[Asked], str], None]:
    """`hold("vercel", server.log, "")`: every request of the log is one that the descriptions allow."""

    def held(name: str, log: Iterable[Asked], base: str = "") -> None:
        for contract in _contracts(name, base):
            for asked in log:
                contract.hold(asked)

    return held
