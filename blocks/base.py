"""What every block of this project has: made from plain values, given back as plain values."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from typing import Annotated, Any, Self, TypeVar

from prefect.blocks.core import Block
from pydantic import AfterValidator, BeforeValidator, ConfigDict, PrivateAttr, SecretStr, ValidationError

from canary.blocks.clock import SystemClock
from canary.blocks.http import Http
from canary.errors import CredentialError
from canary.ports import Clock


def _http_url(value: str) -> str:
    if not re.fullmatch(r"https?://[^\s/?#@]+(/[^\s?#@]*)?", value):
        raise ValueError("write an http:// or https:// address without user, query and fragment")
    return value.rstrip("/")


def _secret(value: SecretStr | None) -> SecretStr | None:
    if value is not None and not re.fullmatch(r"[\x21-\x7e]+", value.get_secret_value()):
        raise ValueError("a secret is one word of printable ASCII, without spaces and line breaks")
    return value


def _none_if_empty(value: object) -> object:
    plain = value.get_secret_value() if isinstance(value, SecretStr) else value
    return None if plain == "" else value


B = TypeVar("B", bound="CanaryBlock")
Url = Annotated[str, AfterValidator(_http_url)]
"""An http(s) address; a trailing slash is dropped."""
Secret = Annotated[SecretStr, AfterValidator(_secret)]
"""A token or password that fits into a header."""
# Not `Secret | None`: Prefect finds no secret inside an annotated member of a union, and would show it.
MaybeSecret = Annotated[SecretStr | None, BeforeValidator(_none_if_empty), AfterValidator(_secret)]
MaybeUrl = Annotated[Url | None, BeforeValidator(_none_if_empty)]


class CanaryBlock(Block):
    """A Prefect block that works without Prefect's API: nothing here does I/O before a verb is called."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    _ref: str = PrivateAttr(default="")
    _clock: Clock = PrivateAttr(default_factory=SystemClock)

    @classmethod
    def from_fields(cls, ref: str, fields: Mapping[str, Any], clock: Clock | None = None) -> Self:
        """The block from plain values. `ref` is "kind/name".

        Raises CredentialError, naming the first field that is unknown, missing or wrong.
        """
        _known_fields(cls, ref, fields)
        block = _valid(cls, ref, fields)
        block._ref = ref
        block._clock = clock or block._clock
        block.open()
        return block

    def block_initialization(self) -> None:
        """Prefect calls it on every new block, a loaded one too."""
        self.open()

    def open(self) -> None:
        """Make what the verbs need from the fields, without any I/O."""

    def fields(self) -> dict[str, Any]:
        """The plain values this block was made of, secrets in clear: for sealing only."""
        return {name: _plain(getattr(self, name)) for name in type(self).model_fields}

    @property
    def ref(self) -> str:
        """How plans and errors name this block: "kind/name"."""
        return self._ref or f"{self.get_block_type_slug()}/{self._block_document_name or 'unnamed'}"

    def _http_client(self, *more_secrets: str) -> Http:
        """A client whose errors hide every secret of this block."""
        values = (getattr(self, name) for name in type(self).model_fields)
        secrets = [value.get_secret_value() for value in values if isinstance(value, SecretStr)]
        return Http(self.ref, [*secrets, *more_secrets])


def _valid(cls: type[B], ref: str, fields: Mapping[str, Any]) -> B:
    try:
        return cls(**dict(fields))
    except ValidationError as error:
        wrong = wrong_field(ref, error)
    # Outside of the handler: what pydantic raises still has the values, and would be the context of this error.
    raise wrong


def _known_fields(cls: type[CanaryBlock], ref: str, fields: Mapping[str, Any]) -> None:
    valid = list(cls.model_fields)
    for name in fields:
        if name not in valid:
            near = difflib.get_close_matches(str(name), valid, 1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise CredentialError(ref, str(name), f"no such field; it has {', '.join(valid) or 'none'}{hint}")


def wrong_field(ref: str, error: ValidationError) -> CredentialError:
    """The first problem that pydantic found, without the value."""
    first = error.errors(include_input=False, include_context=False, include_url=False)[0]
    name = str(first["loc"][0]) if first["loc"] else "(all)"
    return CredentialError(ref, name, first["msg"].removeprefix("Value error, "))


def _plain(value: Any) -> Any:
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    if isinstance(value, Mapping):
        return {key: _plain(inner) for key, inner in value.items()}
    return [_plain(inner) for inner in value] if isinstance(value, list | tuple) else value
