"""What a docflow process is told at its start: a line of JSON on standard input, since it holds tokens."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from canary.sandbox.wire import Fault


class DocflowConfig(BaseModel):
    model_config = ConfigDict(frozen=True)

    version: str
    port: int
    admin_port: int
    docflow_token: str = Field(repr=False)
    control_token: str = Field(repr=False)
    flags_url: str
    flags_token: str = Field(repr=False)
    flags: dict[str, bool]
    fault: Fault
    seed: int
