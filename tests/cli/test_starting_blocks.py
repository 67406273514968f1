"""`canary blocks apply FILE --check`: every problem at once, with its place; and no value in any word."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from canary.cli.blocksfile import read_blocks
from canary.cli.main import app
from canary.errors import BadUsage

RUN = CliRunner()
FLAGS = "flags/docflow:\n  url: ${FLAGS_URL}\n  token: ${FLAGS_TOKEN}\n"
GOOD = {"FLAGS_URL": "http://127.0.0.1:9", "FLAGS_TOKEN": "s3cret-token"}


@pytest.fixture
def write(tmp_path: Path) -> Any:
    """Writes a blocks file; where it is."""

    def text(content: str) -> Path:
        file = tmp_path / "blocks.yaml"
        file.write_text(content, "utf-8")
        return file

    return text


def test_variables_are_filled_in_wherever_they_stand(write: Any) -> None:
    """In a field, in the middle of a text, in a list and in a mapping; numbers and truths stay what they are."""
    text = (
        "scraper/a:\n  urls: ['http://${HOST}:${PORT}/metrics']\n"
        "envoy/a:\n  router_url: http://${HOST}\n  admin_url: http://${HOST}\n  admin_token: ${T}\n"
        "  internal_token: ${T}\n  runtime_prefix: r\n  clusters: {blue: 'a_${PORT}', green: b}\n  total_weight: 100\n"
    )
    found = read_blocks(write(text), {"HOST": "127.0.0.1", "PORT": "9", "T": "t"})
    assert found.problems == ()
    assert found.blocks["scraper/a"] == {"urls": ["http://127.0.0.1:9/metrics"]}
    assert found.blocks["envoy/a"]["clusters"] == {"blue": "a_9", "green": "b"}
    assert found.blocks["envoy/a"]["total_weight"] == 100


def test_a_value_is_taken_as_it_is(write: Any) -> None:
    """What looks like a variable inside a value is not looked up again."""
    found = read_blocks(write(FLAGS), {**GOOD, "FLAGS_TOKEN": "${FLAGS_URL}"})
    assert found.problems == ()
    assert found.blocks["flags/docflow"]["token"] == "${FLAGS_URL}"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("flag/docflow: {}\n", "1:1: flag/docflow: block flag/docflow: there is no kind 'flag'"),
        ("flag/docflow: {}\n", "did you mean flags?"),
        ("terminal/Local: {}\n", "1:1: terminal/Local: block terminal/Local, field name:"),
        ("terminal/local: text\n", "1:17: terminal/local: must be a mapping of fields; {} for none"),
        ("terminal/local:\n", "1:1: terminal/local: nothing stands here"),
        (FLAGS + "  tokn: ${FLAGS_TOKEN}\n", "4:3: flags/docflow.tokn: no such field; valid values: url, token"),
        (FLAGS + "  tokn: ${FLAGS_TOKEN}\n", "did you mean 'token'?"),
        ("flags/docflow:\n  url: ${FLAGS_URL}\n", "1:1: flags/docflow: the required field 'token' is missing"),
        (FLAGS.replace("FLAGS_URL", "NOWHERE"), "2:8: flags/docflow.url: the environment variable NOWHERE is not set"),
        (FLAGS.replace("FLAGS_URL", "EMPTY"), "flags/docflow.url: the environment variable EMPTY is set, but empty"),
        (FLAGS.replace("{FLAGS_URL}", "{a b}"), "2:8: flags/docflow.url: a variable is written ${NAME}"),
        (FLAGS.replace("${FLAGS_TOKEN}", "abc"), "3:10: flags/docflow.token: is a secret: write ${NAME} here"),
        (FLAGS.replace("${FLAGS_URL}", "ftp://x"), "2:8: flags/docflow.url: write an http:// or https:// address"),
        (FLAGS + FLAGS, "4:1: flags/docflow: the key stands twice"),
        ("", "1:1: the file is empty; a blocks file is a YAML mapping of kind/name:"),
        ("- a\n", "1:1: a blocks file is a YAML mapping of kind/name:"),
        ("a: [\n", "broken YAML"),
    ],
)
def test_each_problem_has_its_place_and_what_would_be_right(write: Any, text: str, problem: str) -> None:
    """File, line and column; the block, the field; and the nearest word that exists."""
    file = write(text)
    found = read_blocks(file, {**GOOD, "EMPTY": ""})
    assert problem in "\n".join(found.problems), found.problems
    assert all(line.startswith(f"{file}:") for line in found.problems)


def test_all_problems_come_at_once_in_the_order_of_the_file(write: Any) -> None:
    """Two blocks, four mistakes of four sorts: one run names them all, each once."""
    text = "flags/a:\n  url: ftp://x\n  token: ${MISSING}\nscraper/b:\n  url: [x]\nflaggs/c: {}\n"
    problems = read_blocks(write(text), {}).problems
    assert [int(line.split(":")[1]) for line in problems] == [2, 3, 5, 6]


def test_a_block_that_judges_its_fields_together_is_heard_when_all_are_there(write: Any) -> None:
    """Slack takes a token or a webhook; with one variable missing that is not yet known."""
    text = "slack/a:\n  token: ${TOKEN}\n"
    assert "channel: a token needs the channel's id" in read_blocks(write(text), {"TOKEN": "xoxb-1"}).problems[0]
    (only,) = read_blocks(write(text), {}).problems
    assert "TOKEN is not set" in only


def test_a_message_that_quotes_a_field_names_the_variable_instead(write: Any) -> None:
    """A token in the wrong variable is not printed by the field that refuses it."""
    text = (
        "envoy/a:\n  router_url: http://x\n  admin_url: http://x\n  admin_token: ${T}\n  internal_token: ${T}\n"
        "  runtime_prefix: r\n  clusters: {blue: a, green: b}\n  initial: ${T}\n"
    )
    (problem,) = read_blocks(write(text), {"T": "s3cret-token"}).problems
    assert "initial: '${T}' is no colour" in problem


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    field=st.sampled_from(["url", "token", "tokn", "base_url", "channel", "oncall", "username"]),
    kind=st.sampled_from(["flags", "slack", "prometheus", "scraper", "token", "nothing"]),
    secret=st.text(alphabet="qQzZ7'\"\\ \n\tü/:@", min_size=8, max_size=20).map("QZ".__add__),
)
def test_no_value_of_the_environment_is_ever_said(tmp_path: Path, field: str, kind: str, secret: str) -> None:
    """Whatever stands in a variable, and wherever it is put: no problem and no repr of the file repeats it."""
    file = tmp_path / "blocks.yaml"
    file.write_text(f"{kind}/a:\n  {field}: ${{SECRET}}\n")
    found = read_blocks(file, {"SECRET": secret})
    said = "\n".join(found.problems) + repr(found)
    assert secret not in said
    assert repr(secret)[1:-1] not in said


def test_check_needs_no_prefect_and_prints_references_alone(write: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exit 0 with each block's name; the values are not shown."""
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    for name, value in GOOD.items():
        monkeypatch.setenv(name, value)
    file = str(write(FLAGS))
    done = RUN.invoke(app, ["blocks", "apply", file, "--check"])
    assert (done.exit_code, done.output) == (0, "flags/docflow: can be applied\n")
    told = json.loads(RUN.invoke(app, ["blocks", "apply", file, "--check", "--json"]).stdout)
    assert told == {"checked": ["flags/docflow"], "problems": []}


def test_problems_are_bad_usage_and_json_lists_them(write: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exit code 2, the count in the first line; machines get a list. Nothing is applied before all is well."""
    for name in GOOD:
        monkeypatch.delenv(name, raising=False)
    file = str(write(FLAGS))
    done = RUN.invoke(app, ["blocks", "apply", file, "--json"])
    assert isinstance(done.exception, BadUsage)
    assert done.exception.exit_code == 2
    assert str(done.exception).startswith("the blocks file has 2 problems:\n")
    assert len(json.loads(done.stdout)["problems"]) == 2


def test_a_file_that_is_not_there_is_named_with_the_nearest(write: Any) -> None:
    """As for a plan."""
    file = write(FLAGS)
    (problem,) = read_blocks(file.with_name("block.yaml"), {}).problems
    assert "no such file; did you mean" in problem
