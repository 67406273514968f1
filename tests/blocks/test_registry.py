"""Blocks by reference: from plain values without any I/O, and to and from a real Prefect server."""

from __future__ import annotations

import subprocess
import sys
import traceback
from collections.abc import Iterator
from typing import Any

import pytest
from prefect.blocks.core import Block
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import BlockDocumentUpdate
from prefect.settings import PREFECT_API_URL, temporary_settings
from prefect.testing.utilities import prefect_test_harness
from pydantic import SecretStr

import canary.blocks
from canary.blocks.registry import BLOCKS, load_fields, open_block, save
from canary.blocks.token import ApiToken
from canary.errors import CredentialError, ProviderUnavailable, Refused
from canary.plan.kinds import KINDS

FIELDS: dict[str, dict[str, Any]] = {
    "envoy/docflow-api": {
        "router_url": "http://127.0.0.1:1",
        "admin_url": "http://127.0.0.1:1",
        "admin_token": "s3cret-admin",
        "runtime_prefix": "routing.api",
        "clusters": {"blue": "api_blue", "green": "api_green"},
        "internal_token": "s3cret-internal",
    },
    "fly/docflow": {"app": "docflow-api", "token": "FlyV1 s3cret-fly"},
    "flags/docflow": {"url": "http://127.0.0.1:1", "token": "s3cret-flags"},
    "vercel/docflow": {
        "token": "s3cret-vercel",
        "project_id": "prj_docflow",
        "team_id": "team_docflow",
        "bypass_secret": "s3cret-bypass",
        "url": "http://127.0.0.1:1",
    },
    "global-config/docflow": {"token": "s3cret-config", "config_id": "ecfg_docflow", "url": "http://127.0.0.1:1"},
    "scraper/docflow": {"urls": ["http://127.0.0.1:1/metrics"]},
    "grafana/docflow": {"url": "http://127.0.0.1:1", "token": "s3cret-glsa", "datasource": "prom", "reads": "query"},
    "prometheus/docflow": {"url": "http://127.0.0.1:1", "username": "u", "password": "s3cret-basic"},
    "slack/sre": {"token": "s3cret-bot", "channel": "C024BE91L", "oncall": ["S024BE91L", "U024BE7LH"]},
    "slack/hook": {"webhook_url": "https://hooks.slack.com/services/T0/B0/s3cret-hook"},
    "terminal/local": {},
    "token/docflow-admin": {"value": "s3cret-token"},
}
ALL = pytest.mark.parametrize("ref", FIELDS)


def test_the_table_of_kinds_is_kept() -> None:
    """Every kind has a block, whose slug is the kind."""
    assert BLOCKS.keys() == KINDS.keys()
    assert {kind: cls.get_block_type_slug() for kind, cls in BLOCKS.items()} == {kind: kind for kind in BLOCKS}


def test_registration_finds_them_all() -> None:
    """`prefect block register -m canary.blocks` looks for Block classes in the module: all are exported."""
    exported = [getattr(canary.blocks, name) for name in canary.blocks.__all__]
    assert set(exported) == set(BLOCKS.values())
    assert all(issubclass(cls, Block) for cls in exported)


@pytest.mark.parametrize("cls", BLOCKS.values(), ids=BLOCKS)
def test_a_form_explains_itself(cls: type[Block]) -> None:
    """Every block and every field has a description, and what sounds secret is one for Prefect too."""
    assert cls.get_description()
    assert all(field.description for field in cls.model_fields.values())
    sounds = [
        n
        for n in cls.model_fields
        if any(w in n for w in ("token", "password", "bearer", "value", "webhook", "secret"))
    ]
    assert cls.model_json_schema()["secret_fields"] == sounds


@ALL
def test_fields_make_the_same_block_again(ref: str) -> None:
    """The plain values given back make an equal block, secrets included, and are all that it needs."""
    block = open_block(ref, FIELDS[ref])
    fields = block.fields()
    assert FIELDS[ref].items() <= fields.items()
    assert open_block(ref, fields).fields() == fields
    assert block.ref == ref


@ALL
def test_no_secret_shows(ref: str) -> None:
    """A block that is printed, or dumped as JSON, shows no secret."""
    block = open_block(ref, FIELDS[ref])
    assert "s3cret" not in f"{block} {block!r} {block.model_dump()} {block.model_dump_json()}"


@ALL
def test_a_wrong_field_is_named_without_its_value(ref: str) -> None:
    """An unknown field is an error with the nearest valid one."""
    with pytest.raises(CredentialError) as error:
        open_block(ref, {**FIELDS[ref], "tokenn": "s3cret-typo"})
    assert (error.value.block, error.value.field) == (ref, "tokenn")
    assert "s3cret" not in str(error.value)


@pytest.mark.parametrize("value", ["", " ", "two words", "line\nbreak", "tab\t", "ümlaut", "Bearer x", None])
def test_what_is_no_token(value: Any) -> None:
    """A token is one word that fits into a header; the error does not repeat it."""
    with pytest.raises(CredentialError) as error:
        open_block("token/x", {"value": value})
    assert error.value.field == "value"
    assert not value or not value.strip() or value not in str(error.value)


def test_a_token_makes_a_header() -> None:
    """The header that checks send."""
    block = open_block("token/x", {"value": "abc"})
    assert isinstance(block, ApiToken)
    assert block.header() == {"Authorization": "Bearer abc"}
    assert block.value == SecretStr("abc")


@pytest.mark.parametrize("url", ["", "x", "ftp://h", "http://u:p@h/", "http://h/?q=1", "http://h/#f", "http:// h"])
def test_what_is_no_address(url: str) -> None:
    """User info and queries may hold secrets and do not belong into an address; nor does anything but http(s)."""
    with pytest.raises(CredentialError, match="field url"):
        open_block("flags/x", {"url": url, "token": "t"})


def test_an_unknown_kind() -> None:
    """A typing error gets the nearest kind."""
    with pytest.raises(Refused, match=r"(?s)no kind 'envoi'.*did you mean envoy"):
        open_block("envoi/x", {})


OFFLINE = """
import socket, sys
def refuse(*_): raise SystemExit("a connection was made")
socket.socket.connect = socket.socket.connect_ex = refuse
from canary.blocks.registry import BLOCKS, open_block
fields = {fields!r}
for ref in fields:
    assert open_block(ref, open_block(ref, fields[ref]).fields()).ref == ref
"""


@pytest.mark.parametrize("api", [None, "http://127.0.0.1:1/api"])
def test_no_io_before_a_verb(api: str | None, tmp_path: Any) -> None:
    """Blocks are made from plain values with Prefect's API unset, and at a closed port, without one connection."""
    home = {"PREFECT_HOME": str(tmp_path), "HOME": str(tmp_path)}
    env = {**home, **({"PREFECT_API_URL": api} if api else {})}
    code = OFFLINE.format(fields=FIELDS)
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")


async def test_no_api_set() -> None:
    """Without PREFECT_API_URL nothing is started in its place; the error says what to set."""
    with (
        temporary_settings(restore_defaults={PREFECT_API_URL}),
        pytest.raises(ProviderUnavailable, match="no Prefect API"),
    ):
        await load_fields("terminal/local")


async def test_an_api_that_is_away(closed_port: int) -> None:
    """A closed port is ProviderUnavailable within five seconds."""
    with (
        temporary_settings({PREFECT_API_URL: f"http://127.0.0.1:{closed_port}/api"}),
        pytest.raises(ProviderUnavailable, match="no usable answer"),
    ):
        await load_fields("terminal/local")


@pytest.fixture(scope="module")
def server() -> Iterator[None]:
    """A real Prefect server."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
        patch.setenv("DO_NOT_TRACK", "1")
        with prefect_test_harness(server_startup_timeout=120):
            yield


async def test_to_prefect_and_back(server: None) -> None:
    """Every kind of block is saved, overwritten and loaded with all its values; a missing one says how to make it."""
    for ref, fields in FIELDS.items():
        await save(ref, fields)
        await save(ref, fields)
        loaded = await load_fields(ref)
        assert loaded == open_block(ref, fields).fields()
    with pytest.raises(
        CredentialError, match=r"(?s)envoy/nobody.*make a 'Canary: Envoy route' named 'nobody'.*blocks apply"
    ):
        await load_fields("envoy/nobody")
    await save("token/docflow-admin", {"value": "rotated"})
    assert await load_fields("token/docflow-admin") == {"value": "rotated"}


async def test_a_document_made_in_the_ui_is_checked(server: None) -> None:
    """Prefect's form takes any address: what is wrong is a credential's error that names the field, not the value."""
    await save("flags/by-hand", {"url": "http://127.0.0.1:1", "token": "s3cret-flags"})
    async with get_client() as client:
        document = await client.read_block_document_by_name("by-hand", "flags")
        wrong = {"url": "http://ann:s3cret-user@127.0.0.1:1/?key=s3cret-query", "token": "s3cret-flags"}
        await client.update_block_document(document.id, BlockDocumentUpdate(data=wrong))
    with pytest.raises(CredentialError, match="field url: write an http") as error:
        await load_fields("flags/by-hand")
    assert "s3cret" not in "".join(traceback.format_exception(error.value))
    assert error.value.__cause__ is error.value.__context__ is None


@pytest.mark.parametrize("ref", ["token", "token/", "token/A b", "token/a/b"])
async def test_a_name_that_prefect_does_not_take(ref: str) -> None:
    """A reference without a usable name is refused before anybody is asked."""
    with pytest.raises(CredentialError, match="field name"):
        await save(ref, {"value": "x"})
