"""What an operator can set for the runtime."""

from pathlib import Path
from typing import Any, Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from services.shared.settings import OptionalPort


class RuntimeSettings(BaseSettings):
    """Environment variables carry the prefix `RUNTIME_`, e.g. `RUNTIME_PORT`."""

    model_config = SettingsConfigDict(env_prefix="RUNTIME_", frozen=True)

    host: str = Field("127.0.0.1", description="address to listen on")
    port: int = Field(50052, ge=0, le=65535, description="gRPC port; 0 picks a free one")
    metrics_port: OptionalPort = Field(
        9052, description="HTTP port of /metrics, for Prometheus; 0 picks a free one, empty serves none"
    )
    backend: Literal["sglang", "fake"] = Field("sglang", description="inference engine")
    model_path: Path = Field(description="model folder in Hugging Face layout")
    model_name: str = Field("", description="name that requests may use; the folder's name when empty")
    adapter_path: str = Field(
        "", description="folder of the adapter for `lookahead` and `fused`; empty means the one shipped for this model"
    )
    adapter_bytes: int = Field(
        1 << 30, ge=0, description="most bytes of adapters of the registry that the engine holds at once"
    )
    scorer_target: str = Field("127.0.0.1:50051", description="host:port of the scorer sidecar")
    engine_args: dict[str, Any] = Field(
        {}, description='keyword arguments of sglang.Engine as JSON, e.g. {"mem_fraction_static": 0.8}'
    )
    coalesce_seconds: float = Field(0.02, ge=0, description="tokens that get ready within this time share a message")
    max_message_bytes: int = Field(4 << 20, gt=0, description="largest request that is read")
    write_seconds: float = Field(
        60.0, ge=1, description="a client that does not read its answer for so long is cut off"
    )
    shutdown_grace_seconds: float = Field(20.0, ge=0, description="below terminationGracePeriodSeconds")
    trace_dir: Path | None = Field(None, description="write each request's kept positions here; for debugging only")
    reflection: bool = Field(True, description="serve gRPC reflection; off in production")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", description="least severe level logged")
