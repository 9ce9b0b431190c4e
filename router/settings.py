"""What an operator can set for the router."""

from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from router.replicas.discovery import is_target
from services.shared.settings import OptionalPort


class RouterSettings(BaseSettings):
    """Environment variables carry the prefix `ROUTER_`, e.g. `ROUTER_PORT`."""

    model_config = SettingsConfigDict(env_prefix="ROUTER_", frozen=True)

    host: str = Field("127.0.0.1", description="address to listen on")
    port: int = Field(50050, ge=0, le=65535, description="gRPC port; 0 picks a free one")
    http_port: OptionalPort = Field(
        None, description="port of the OpenAI-compatible API on the same address; 0 picks a free one, empty serves none"
    )
    http_chat_tokens: int = Field(1024, ge=1, description="longest answer to a chat that names no maximum")
    http_docs: bool = Field(False, description="serve a page about the API at /docs; its scripts come from a CDN")
    http_ping_seconds: float = Field(10.0, gt=0, description="a stream without news for so long says that it is alive")
    metrics_port: OptionalPort = Field(
        9050, description="HTTP port of /metrics, for Prometheus; 0 picks a free one, empty serves none"
    )
    metrics_max_tenants: int = Field(
        100, ge=0, description="tenants with a label of their own in metrics; the others are counted together"
    )
    targets: Annotated[tuple[str, ...], NoDecode] = Field(
        description="host:port of each runtime, with commas between; also dns:///name:port for each address of a name, "
        "or k8s:///namespace/service:port for the ready endpoints of a Kubernetes service"
    )
    dns_seconds: float = Field(5.0, gt=0, description="pause between two looks at the addresses of a name")
    model_path: Path = Field(description="folder with the tokenizer.json of the model that the runtimes serve")
    keep_ratio: float = Field(0.25, gt=0, le=1, description="share of a prompt that is kept when nothing else is asked")
    shortest_budget_tokens: int = Field(2048, ge=1, description="prompts up to this length are kept whole by default")
    floor_tokens: int = Field(64, ge=1, description="no request keeps fewer tokens, whatever the rules say")
    redis_url: str = Field(
        "", description="Redis with the tenants' budgets, e.g. redis://host:6379; empty: the built-in ones for all"
    )
    redis_username: str | None = Field(None, description="user of Redis, instead of the URL's")
    redis_password: SecretStr | None = Field(None, description="password of Redis, instead of the URL's")
    redis_ca_file: Path | None = Field(None, description="certificate authority of rediss://, instead of the system's")
    router_id: str = Field("", description="this router's name in GetPolicyStatus; empty: host name and port")
    policy_poll_seconds: float = Field(1.0, gt=0, description="how often budgets are looked at, beside events")
    policy_max_age_seconds: float = Field(
        600.0, gt=0, description="budgets that the store has not confirmed for longer are flagged, and served on"
    )
    policy_seed_path: Path | None = Field(
        None, description="YAML of budgets that is written into a Redis that never had any"
    )
    policy_cache_path: Path | None = Field(
        None, description="file with the last known budgets, for a start without Redis"
    )
    api_keys_path: Path | None = Field(
        None,
        description="YAML of API keys, as hashes, and whose they are; empty: every caller is one tenant, and admin",
    )
    trusted_networks: Annotated[tuple[IPv4Network | IPv6Network, ...], NoDecode] = Field(
        (), description="networks of gateways whose tenant headers are believed, with commas between"
    )
    slo_headroom_ratio: float = Field(0.4, ge=0, lt=1, description="share of the asked time per token left unused")
    slo_room_ratio: float = Field(0.25, gt=0, le=1, description="share of what meets the SLO that one request may take")
    load_start_ratio: float = Field(0.8, ge=0, lt=1, description="used share of KV slots at which budgets shrink")
    load_end_ratio: float = Field(0.95, gt=0, le=1, description="used share of KV slots at which they are smallest")
    load_least_ratio: float = Field(0.1, gt=0, le=1, description="share of a prompt that is kept then")
    quota_lease_seconds: float = Field(
        30.0, ge=1, description="what a router that crashed held of its tenants' quotas is free after so long"
    )
    quota_wait_seconds: float = Field(
        0.25, gt=0, description="a request waits for Redis no longer; then each router enforces its share of the quotas"
    )
    queue_max_waiting: int = Field(2048, ge=1, description="requests that wait for room on a runtime at most")
    queue_max_waiting_per_tenant: int = Field(512, ge=1, description="those of one tenant")
    queue_backlog_ratio: float = Field(
        0.1, ge=0, le=10, description="what a runtime is sent beyond what it can run, as a share of that"
    )
    write_seconds: float = Field(
        60.0, ge=1, description="a client that does not read its answer for so long is cut off"
    )
    max_message_bytes: int = Field(4 << 20, gt=0, description="largest request that is read")
    load_poll_seconds: float = Field(0.5, gt=0, description="pause between two looks at a runtime's load")
    load_timeout_seconds: float = Field(
        5.0, gt=0, description="a runtime that does not tell its load for so long is out, and its calls are given up"
    )
    silent_seconds: float = Field(
        120.0, gt=0, description="a call for which a runtime that tells its load says nothing for so long is given up"
    )
    retry_attempts: int = Field(3, ge=1, description="runtimes that a request is sent to at most, one after the other")
    retry_ratio: float = Field(0.2, ge=0, le=1, description="retries as a share of all requests at most")
    outlier_failures: int = Field(5, ge=1, description="calls in a row that fail before a runtime is left alone")
    outlier_slow_factor: float = Field(
        5.0, gt=1, description="a runtime is left alone that takes so many times the median of the others"
    )
    outlier_seconds: float = Field(5.0, gt=0, description="for how long, the first time; twice as long each time after")
    outlier_most_ratio: float = Field(0.5, ge=0, le=1, description="share of the runtimes that may be left alone")
    keepalive_seconds: float = Field(
        10.0, ge=1, description="a connection silent for so long is tried, and given up after as long again"
    )
    shutdown_grace_seconds: float = Field(20.0, ge=0, description="below terminationGracePeriodSeconds")
    reflection: bool = Field(True, description="serve gRPC reflection; off in production")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", description="least severe level logged")

    @field_validator("targets", "trusted_networks", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        return tuple(part.strip() for part in value.split(",")) if value.strip() else ()

    @field_validator("targets")
    @classmethod
    def _check_targets(cls, targets: tuple[str, ...]) -> tuple[str, ...]:
        wrong = [target for target in targets if not is_target(target)]
        if wrong or not targets:
            named = ", ".join(map(repr, wrong)) or "nothing"
            raise ValueError(f"{named} is not host:port, dns:///name:port or k8s:///namespace/service:port")
        if len(set(targets)) < len(targets):
            raise ValueError("a target is named twice")
        return targets
