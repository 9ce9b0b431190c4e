"""What an operator can set for the router."""

import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

TARGET = re.compile(r"\S+:\d{1,5}")


class RouterSettings(BaseSettings):
    """Environment variables carry the prefix `ROUTER_`, e.g. `ROUTER_PORT`."""

    model_config = SettingsConfigDict(env_prefix="ROUTER_", frozen=True)

    host: str = Field("127.0.0.1", description="address to listen on")
    port: int = Field(50050, ge=0, le=65535, description="gRPC port; 0 picks a free one")
    targets: Annotated[tuple[str, ...], NoDecode] = Field(description="host:port of each runtime, with commas between")
    model_path: Path = Field(description="folder with the tokenizer.json of the model that the runtimes serve")
    keep_ratio: float = Field(0.25, gt=0, le=1, description="share of a prompt that is kept when nothing else is asked")
    shortest_budget_tokens: int = Field(2048, ge=1, description="prompts up to this length are kept whole by default")
    floor_tokens: int = Field(64, ge=1, description="no request keeps fewer tokens, whatever the rules say")
    max_message_bytes: int = Field(4 << 20, gt=0, description="largest request that is read")
    load_poll_seconds: float = Field(0.5, gt=0, description="pause between two looks at a runtime's load")
    load_timeout_seconds: float = Field(
        5.0, gt=0, description="a runtime that does not tell its load for so long is out"
    )
    keepalive_seconds: float = Field(
        10.0, ge=1, description="a connection silent for so long is tried, and given up after as long again"
    )
    shutdown_grace_seconds: float = Field(20.0, ge=0, description="below terminationGracePeriodSeconds")
    reflection: bool = Field(True, description="serve gRPC reflection; off in production")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", description="least severe level logged")

    @field_validator("targets", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        return tuple(part.strip() for part in value.split(",")) if isinstance(value, str) else value

    @field_validator("targets")
    @classmethod
    def _check_targets(cls, targets: tuple[str, ...]) -> tuple[str, ...]:
        wrong = [target for target in targets if not TARGET.fullmatch(target)]
        if wrong or not targets:
            raise ValueError(f"{', '.join(map(repr, wrong)) or 'nothing'} is not host:port")
        if len(set(targets)) < len(targets):
            raise ValueError("a target is named twice")
        return targets
