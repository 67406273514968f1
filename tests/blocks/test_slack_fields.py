"""Slack without a server: which fields can work, how text is escaped and cut, and how a place is written."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canary.blocks.registry import open_block
from canary.blocks.slack_wire import CUT, Place, escaped
from canary.errors import CredentialError
from canary.testing.slack import HOOK, TOKEN

SECRETS = (TOKEN, HOOK, "l0cal-h00k")
GOOD = {"token": TOKEN, "channel": "C024BE91L"}


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({}, "either a bot token with its channel, or a webhook_url"),
        ({**GOOD, "webhook_url": f"https://hooks.slack.com{HOOK}"}, "either a bot token"),
        ({"token": TOKEN}, "a token needs the channel's id"),
        ({"webhook_url": f"https://hooks.slack.com{HOOK}", "channel": "C024BE91L"}, "a webhook has its own"),
        ({**GOOD, "channel": "#sre"}, "field channel: write the channel's id"),
        ({"webhook_url": f"http://hooks.slack.com{HOOK}"}, "field webhook_url: copy the webhook's URL"),
        ({"webhook_url": "https://hooks.slack.com/T0/B0/l0cal-h00k"}, "field webhook_url: copy"),
        ({**GOOD, "base_url": "http://slack.com/api"}, "field base_url: the token must not travel in clear"),
        ({**GOOD, "base_url": "http://127.0.0.1.example.com"}, "field base_url: the token must not travel in clear"),
        ({**GOOD, "oncall": ["@olga"]}, "field oncall"),
    ],
)
def test_fields_that_cannot_work(fields: dict[str, Any], words: str) -> None:
    """Each is refused by name, and no secret is repeated."""
    with pytest.raises(CredentialError) as error:
        open_block("slack/sre", fields)
    assert words in str(error.value)
    assert not any(secret in str(error.value) for secret in SECRETS)


@pytest.mark.parametrize("base_url", ["https://slack.com/api", "http://localhost:1/api", "http://127.0.0.1:1"])
def test_a_base_url_that_keeps_the_token(base_url: str) -> None:
    """https anywhere, plain http on this machine alone."""
    assert open_block("slack/sre", {**GOOD, "base_url": base_url}).fields()["base_url"] == base_url


@given(
    st.text(alphabet="a<>&;", max_size=20) | st.text(alphabet="a<&", min_size=80, max_size=100),
    st.integers(min_value=len(CUT) + 1, max_value=len(CUT) + 60),
)
def test_what_is_cut_fits_and_is_whole(text: str, room: int) -> None:
    """At most so long; what was cut says so; no escape is cut in two; what fits is not touched."""
    shown = escaped(text, room)
    assert len(shown) <= room
    kept = shown.removesuffix(CUT)
    back = kept.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
    assert escaped(back) == kept or kept == ""
    if text and not shown.endswith(CUT):
        assert back == text
    if text and shown.endswith(CUT):
        assert text.startswith(back)


@pytest.mark.parametrize(
    ("ref", "place"), [("C1:2.3", Place("C1", "2.3")), ("", None), ("C1:x", None), ("a:1.1", None)]
)
def test_a_place_is_read_back_as_it_was_written(ref: str, place: Place | None) -> None:
    """Channel and time stamp; anything else is no place."""
    assert Place.parse(ref) == place
    assert place is None or str(place) == ref
