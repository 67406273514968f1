"""The texts of a plan and what they mean: durations, shares, names, references.

`Seconds` and `Share` are written as texts ("1h30m", "10%") and become floats. A bare number is refused: 30
could be seconds or minutes, 0.1 a tenth or a tenth of a per cent.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Annotated

from pydantic import AfterValidator, Field, PlainSerializer, PlainValidator, WithJsonSchema

_DURATION = re.compile(r"(?:(\d{1,6})h)?(?:(\d{1,6})m)?(?:(\d{1,6})s)?")
_PERCENT = re.compile(r"(\d{1,3}(?:\.\d{1,6})?)%")


def seconds(value: object) -> float:
    """Seconds of a duration such as "30m", "8h", "15s" or "1h30m". Raises ValueError."""
    match = _DURATION.fullmatch(value) if isinstance(value, str) and value else None
    if not match:
        raise ValueError(f"{value!r} is no duration; valid values look like 30m, 8h, 15s or 1h30m")
    hours, minutes, rest = (int(part or 0) for part in match.groups())
    if not hours + minutes + rest:
        raise ValueError(f"{value!r}: a duration of 0 would decide nothing; it must be at least 1s")
    return float(3600 * hours + 60 * minutes + rest)


def duration(seconds: float) -> str:
    """A duration in plan notation: 5400.0 → "1h30m", 0.5 → "0.5s"."""
    whole, rest = divmod(seconds, 60)
    hours, minutes = divmod(int(whole), 60)
    parts = ((f"{hours}", "h"), (f"{minutes}", "m"), (f"{rest:g}", "s"))
    return "".join(number + unit for number, unit in parts if number != "0") or "0s"


def share(value: object) -> float:
    """The share, 0–1, of a text such as "10%". Raises ValueError."""
    match = _PERCENT.fullmatch(value) if isinstance(value, str) else None
    if not match or Decimal(match[1]) > 100:
        raise ValueError(f"{value!r} is no share of users; valid values look like 0%, 2.5%, 10% or 100%")
    return float(Decimal(match[1]) / 100)


def percent(share: float) -> str:
    """A share in plan notation: 0.025 → "2.5%"."""
    return f"{share * 100:.6g}%"


def _regex(value: str) -> str:
    """An anchored regular expression that Python and Prometheus (RE2) both understand."""
    try:
        re.compile(value)
    except re.error as error:
        raise ValueError(f"{value!r} is no regular expression: {error}") from None
    if re.search(r"\(\?[=!<>#(]|\\[1-9]", value):
        raise ValueError(f"{value!r}: Prometheus knows no look-around and no back-references")
    return value


def _histogram(value: str) -> str:
    if value.endswith(("_bucket", "_count", "_sum")):
        raise ValueError(f"{value!r}: name the histogram itself: {value.rpartition('_')[0]!r}")
    return value


NAME = "^[a-z][a-z0-9_-]{0,62}$"
REF = "^[a-z][a-z0-9-]{0,62}/[a-z0-9]([a-z0-9-]{0,62})$"
FILES = "files"
BOARDS = f"^{FILES}$|{REF}"
METRIC = "^[a-zA-Z_:][a-zA-Z0-9_:]{0,199}$"
LABEL = "^[a-zA-Z_][a-zA-Z0-9_]{0,199}$"
LINE = r"^[^\s\x00-\x1f]([^\x00-\x1f]{0,98}[^\s\x00-\x1f])?$"
# A second slash would name another host, which would then be sent the bearer token.
PATH = r"^/([^/\s#][^\s#]{0,1000})?$"
ENDPOINT = r"^/([^/\s?#][^\s?#]{0,1000})?$"
SELECTOR = r"^[^\s\x00-\x1f]([^\x00-\x1f]{0,298}[^\s\x00-\x1f])?$"
FILE = r"^[^\s/\x00-\x1f~]([^\x00-\x1f]{0,298}[^\s\x00-\x1f])?$"
WEB_URL = r"^https?://[^\s/?#@]{1,250}(/[^\s#@]{0,1000})?$"
SLACK_USER = "^[UW][A-Z0-9]{2,30}$"

WORDS = {
    NAME: "a name: small letters, digits, _ and -, a letter first",
    REF: "a block reference kind/name, such as prometheus/docflow",
    BOARDS: "files, or a block reference kind/name such as grafana/docflow",
    METRIC: "a metric name, such as http_requests_total",
    LABEL: "a label name, such as version",
    LINE: "one line of text, at most 100 characters",
    PATH: "a path on the candidate, such as /api/admin/queue?aiType=invoice",
    ENDPOINT: "a path without query, such as /api/admin/queue",
    SELECTOR: "a CSS selector on one line, such as #ai-filter",
    FILE: "a relative path, such as docs/integration-tests.md",
    WEB_URL: "an http:// or https:// address without user and fragment",
    SLACK_USER: "a Slack member id, such as U024BE7LH",
}
"""Pattern → what it asks for, in words."""

Name = Annotated[str, Field(pattern=NAME)]
Ref = Annotated[str, Field(pattern=REF)]
Boards = Annotated[str, Field(pattern=BOARDS)]
Metric = Annotated[str, Field(pattern=METRIC)]
Histogram = Annotated[Metric, AfterValidator(_histogram)]
Label = Annotated[str, Field(pattern=LABEL)]
Line = Annotated[str, Field(pattern=LINE)]
UrlPath = Annotated[str, Field(pattern=PATH)]
Endpoint = Annotated[str, Field(pattern=ENDPOINT)]
Selector = Annotated[str, Field(pattern=SELECTOR)]
FileName = Annotated[str, Field(pattern=FILE)]
WebUrl = Annotated[str, Field(pattern=WEB_URL)]
SlackUser = Annotated[str, Field(pattern=SLACK_USER)]
Regex = Annotated[str, AfterValidator(_regex)]
Seconds = Annotated[
    float,
    PlainValidator(seconds),
    PlainSerializer(duration),
    WithJsonSchema({"type": "string", "pattern": "^(?=.)([0-9]+h)?([0-9]+m)?([0-9]+s)?$", "examples": ["30m"]}),
]
Share = Annotated[
    float,
    PlainValidator(share),
    PlainSerializer(percent),
    WithJsonSchema({"type": "string", "pattern": "^[0-9]{1,3}([.][0-9]+)?%$", "examples": ["10%"]}),
]


def _risk(value: float) -> float:
    if not 0 < value < 1:
        raise ValueError(f"{percent(value)} is no chance to live with; it lies between 0% and 100%, such as 1%")
    return value


Risk = Annotated[Share, AfterValidator(_risk)]
