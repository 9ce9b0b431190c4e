"""What a developer can set for commands that run everything on one machine."""

import os
from pathlib import Path
from typing import Any

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


def _user_cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "lookaheadkv"


class LocalSettings(BaseSettings):
    """Environment variables carry the prefix `LOOKAHEADKV_`, e.g. `LOOKAHEADKV_CACHE`."""

    model_config = SettingsConfigDict(env_prefix="LOOKAHEADKV_", frozen=True)

    cache: Path = Field(default_factory=_user_cache, description="folder of converted models")
    build_dir: Path = Field(Path("build"), description="folder of logs and reports")
    engine_args: dict[str, Any] = Field(
        # a pool that a laptop can spare
        {"max_total_tokens": 16384, "max_running_requests": 8},
        description="keyword arguments of the engine as JSON, as in RUNTIME_ENGINE_ARGS",
    )
    # the first start after a while reads gigabytes from the disk
    ready_seconds: float = Field(600.0, gt=0, description="how long the processes may take to get ready")
    stop_seconds: float = Field(15.0, gt=0, description="how long they may take to stop before they are killed")
