"""Sources that are no metrics: CSV and JSON with everything that people put into them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from canary.blocks.sources import read_sources
from canary.plan.model import Source
from canary.review.answers import Answers, Read, Unread

FULL = 1_800_000_000.0  # 2027-01-15 08:00:00 UTC


async def read(folder: Path, since: float | None = None, **fields: Any) -> Read:
    found = await read_sources({"it": Source(**fields)}, folder, since)
    return found["it"]


async def csv(folder: Path, text: str | bytes, **more: Any) -> Read:
    (folder / "it.csv").write_bytes(text if isinstance(text, bytes) else text.encode())
    since = more.pop("since", None)
    return await read(folder, since, csv="it.csv", field="score", **more)


async def test_a_source_that_is_not_configured_is_not_there(tmp_path: Path) -> None:
    """The report says so; nothing stands in for it."""
    assert await read_sources({"it": Source()}, tmp_path, None) == {}


async def test_broken_rows_are_counted_and_named_and_the_others_count(tmp_path: Path) -> None:
    """Empty, words, NaN, infinite, a decimal comma, too many and too few cells: each with its line."""
    text = 'name,score\na,4\nb,\nc,n/a\nd,nan\ne,inf\nf,"4,5"\ng,5,6\nh\ni, 3.5 \n'
    found = await csv(tmp_path, text)
    assert isinstance(found, Answers)
    assert found.values == (4.0, 3.5)
    assert found.broken == (
        "line 3: score is empty",
        "line 4: score is 'n/a', not a number",
        "line 5: score is 'nan', not a number",
        "line 6: score is 'inf', not a number",
        "line 7: score is '4,5', not a number",
        "line 8: has more cells than the header",
        "line 9: score is empty",
    )
    assert found.mean == 3.75


async def test_a_long_answer_is_not_repeated_whole(tmp_path: Path) -> None:
    """Who wrote a comment into the wrong cell does not find it in a report."""
    found = await csv(tmp_path, f"score\n{'private ' * 20}\n")
    assert isinstance(found, Answers)
    assert len(found.broken[0]) < 60


async def test_answers_from_before_the_release_do_not_count_in_any_time_zone(tmp_path: Path) -> None:
    """The same moment in three zones; an hour that comes twice is told apart by its offset; no zone is no time."""
    rows = [
        ("2027-01-15T08:00:00+00:00", 5),
        ("2027-01-15T09:30:00+01:00", 5),
        ("2027-01-15T08:30:00+01:00", 1),
        ("2027-01-15T02:59:59-05:00", 1),
        ("2027-01-15T09:00:00Z", 5),
        ("2027-01-15T09:00:00", 1),
        ("yesterday", 1),
    ]
    text = "score,at\n" + "".join(f"{score},{at}\n" for at, score in rows)
    found = await csv(tmp_path, text, when="at", since=FULL)
    assert isinstance(found, Answers)
    assert (found.values, found.old) == ((5.0, 5.0, 5.0), 2)
    assert found.broken == (
        "line 7: at is '2027-01-15T09:00:00', without a time zone",
        "line 8: at is 'yesterday', not an ISO 8601 time",
    )


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "it.csv: has no column 'score'; it has: none"),
        ("a;score\n1;2\n", "it.csv: has no column 'score'; it has: a;score"),
        ("Score\n4\n", "it.csv: has no column 'score'; it has: Score"),
    ],
)
async def test_a_file_without_the_column_is_not_read_at_all(tmp_path: Path, text: str, why: str) -> None:
    """It names what is there."""
    assert await csv(tmp_path, text) == Unread(why)


async def test_a_missing_file_and_a_folder_are_told(tmp_path: Path) -> None:
    """The review goes on without them."""
    assert await read(tmp_path, csv="none.csv", field="x") == Unread("none.csv: No such file or directory")
    assert isinstance(await read(tmp_path, csv=".", field="x"), Unread)


async def test_a_byte_order_mark_and_foreign_bytes_are_no_obstacle(tmp_path: Path) -> None:
    """As spreadsheets write them."""
    assert await csv(tmp_path, b"\xef\xbb\xbfscore,who\r\n4,J\xf6rg\r\n") == Answers((4.0,))


async def test_texts_are_counted_by_how_often_they_were_said(tmp_path: Path) -> None:
    """Numbers among them are texts, too."""
    found = await csv(tmp_path, "score\nslow\n7\nslow\n", values="text")
    assert isinstance(found, Answers)
    assert found.most_said(1) == [("slow", 2)]
    assert found.mean is None


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.binary(max_size=80), field=st.sampled_from(["score", "a"]))
async def test_whatever_a_file_holds_the_answer_is_a_value(tmp_path: Path, text: bytes, field: str) -> None:
    """Never an exception, and every value is a finite number."""
    found = await csv(tmp_path, b"score,at\n" + text)
    assert isinstance(found, (Answers, Unread))
    if isinstance(found, Answers):
        assert all(abs(float(value)) < float("inf") for value in found.values)


ODD = ("item 2: scores is 'true', not a number", "item 3: scores is empty")


@pytest.mark.parametrize(
    ("said", "field", "expected"),
    [
        ({"data": {"score": 4.5}}, "data.score", Answers((4.5,))),
        ({"answers": [{"score": 4}, {"score": 5}]}, "answers.score", Answers((4.0, 5.0))),
        ([{"score": "4"}, {"other": 1}], "score", Answers((4.0,), ("item 2: score is empty",))),
        ({"scores": [1, True, None]}, "scores", Answers((1.0,), ODD)),
    ],
)  # fmt: skip
async def test_json_is_read_along_the_path(tmp_path: Path, serve: Any, said: Any, field: str, expected: Read) -> None:
    """Lists on the way are followed; an item without the field is a broken one, not one fewer."""

    async def answer(request: web.Request) -> web.Response:
        return web.json_response(said)

    assert await read(tmp_path, url=await serve(answer), field=field) == expected


@pytest.mark.parametrize(
    ("answers", "words"),
    [
        (lambda: web.json_response({"a": 1}), "has no 'score'"),
        (lambda: web.Response(text="<html>"), "something that is no JSON"),
        (lambda: web.Response(status=503, text="busy"), "answered 503"),
        (lambda: web.Response(status=403, text="no"), "answered 403"),
    ],
)
async def test_a_server_that_says_nothing_usable_is_unread(
    tmp_path: Path, serve: Any, answers: Callable[[], web.Response], words: str
) -> None:
    """With the reason; the review goes on."""

    async def answer(request: web.Request) -> web.Response:
        return answers()

    found = await read(tmp_path, url=await serve(answer), field="score")
    assert isinstance(found, Unread)
    assert words in found.why


async def test_a_server_that_is_away_is_unread_and_the_others_are_read(tmp_path: Path, closed_port: int) -> None:
    """One source does not take the others with it."""
    (tmp_path / "it.csv").write_text("score\n4\n")
    sources = {
        "away": Source(url=f"http://127.0.0.1:{closed_port}/x", field="score"),
        "there": Source(csv="it.csv", field="score"),
    }
    found = await read_sources(sources, tmp_path, None)
    assert isinstance(found["away"], Unread)
    assert found["there"] == Answers((4.0,))
