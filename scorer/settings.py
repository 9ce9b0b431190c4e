"""What an operator can set for the scorer sidecar."""

from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from services.shared.settings import OptionalPort


class ScorerSettings(BaseSettings):
    """Environment variables carry the prefix `SCORER_`, e.g. `SCORER_PORT`."""

    model_config = SettingsConfigDict(env_prefix="SCORER_", frozen=True)

    host: str = Field("127.0.0.1", description="address to listen on")
    port: int = Field(50051, ge=0, le=65535, description="gRPC port; 0 picks a free one")
    metrics_port: OptionalPort = Field(
        9051, description="HTTP port of /metrics, for Prometheus; 0 picks a free one, empty serves none"
    )
    config_path: Path = Field(description="scoring configuration, a YAML file that may change while we run")
    max_message_bytes: int = Field(2 << 20, gt=0, description="largest message that is read")
    redis_url: str = Field("", description="Redis that keeps adapters, e.g. redis://host:6379; empty: no registry")
    redis_username: str | None = Field(None, description="user of Redis, instead of the URL's")
    redis_password: SecretStr | None = Field(None, description="password of Redis, instead of the URL's")
    redis_ca_file: Path | None = Field(None, description="certificate authority of rediss://, instead of the system's")
    adapter_cache_path: Path | None = Field(
        None, description="folder for fetched adapters, which the runtime reads, too; empty: a temporary one"
    )
    adapter_cache_bytes: int = Field(8 << 30, gt=0, description="most bytes that fetched adapters may take on disk")
    main_adapter: str = Field(
        "", description="adapter whose aliases need no name before them; empty: the one that was published first"
    )
    adapter_poll_seconds: float = Field(30.0, gt=0, description="everything is read anew so often, as a safety net")
    collect_grace_seconds: float = Field(
        7 * 86400.0, ge=0, description="versions that no alias has needed for so long are deleted"
    )
    collect_every_seconds: float = Field(3600.0, gt=0, description="how often such versions are looked for")
    shutdown_grace_seconds: float = Field(5.0, ge=0, description="below terminationGracePeriodSeconds")
    reflection: bool = Field(True, description="serve gRPC reflection; off in production")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", description="least severe level logged")
