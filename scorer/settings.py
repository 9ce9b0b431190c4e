"""What an operator can set for the scorer sidecar."""

from pathlib import Path
from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class ScorerSettings(BaseSettings):
    """Environment variables carry the prefix `SCORER_`, e.g. `SCORER_PORT`."""

    model_config = SettingsConfigDict(env_prefix="SCORER_", frozen=True)

    host: str = Field("127.0.0.1", description="address to listen on")
    port: int = Field(50051, ge=0, le=65535, description="gRPC port; 0 picks a free one")
    config_path: Path = Field(description="scoring configuration, a YAML file that may change while we run")
    max_message_bytes: int = Field(64 << 10, gt=0, description="largest request that is read")
    shutdown_grace_seconds: float = Field(5.0, ge=0, description="below terminationGracePeriodSeconds")
    reflection: bool = Field(True, description="serve gRPC reflection; off in production")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", description="least severe level logged")
