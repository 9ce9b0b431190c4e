"""OpenTelemetry's standard variables, as far as we look at them; its SDK reads the others itself."""

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

DEFAULT_ENDPOINT = "http://localhost:4317"
OTLP, NONE, GRPC = "otlp", "none", "grpc"


class TracingSettings(BaseSettings):
    """Environment variables carry the prefix `OTEL_`. None of them can keep a process from starting."""

    model_config = SettingsConfigDict(env_prefix="OTEL_", frozen=True)

    sdk_disabled: str = Field("", description="true: no traces, whatever else is set")
    traces_exporter: str = Field("", description="otlp, or none; empty: otlp where an endpoint is named")
    exporter_otlp_endpoint: str = Field("", description="the collector, e.g. http://collector:4317; empty: no traces")
    exporter_otlp_traces_endpoint: str = Field("", description="the same, for traces only")
    exporter_otlp_protocol: str = Field("", description="grpc, the only one that is spoken here")
    exporter_otlp_traces_protocol: str = Field("", description="the same, for traces only")

    @property
    def endpoint(self) -> str:
        """Where spans are sent; empty where nobody wants any."""
        exporter = self.traces_exporter.strip().lower()
        if self.sdk_disabled.strip().lower() == "true" or exporter == NONE:
            return ""
        named = self.exporter_otlp_traces_endpoint or self.exporter_otlp_endpoint
        return named or (DEFAULT_ENDPOINT if exporter else "")

    @property
    def objection(self) -> str:
        """Why spans cannot be sent in the way that is asked for; empty when they can, or when nobody wants any."""
        if not self.endpoint:
            return ""
        exporter = self.traces_exporter.strip().lower() or OTLP
        if exporter != OTLP:
            return f"OTEL_TRACES_EXPORTER is {self.traces_exporter!r}; set it to {OTLP} or {NONE}"
        protocol = self.exporter_otlp_traces_protocol or self.exporter_otlp_protocol or GRPC
        if protocol != GRPC:
            return f"OTEL_EXPORTER_OTLP_PROTOCOL is {protocol!r}; set it to {GRPC}, with the collector's port for that"
        return ""
