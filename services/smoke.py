"""`python -m services.smoke`: one answer and one budget through a router, as `helm test` asks for them."""

import grpc
from google.protobuf.duration_pb2 import Duration
from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict
from rich.console import Console

from protos.generation.v1 import generation_pb2, generation_pb2_grpc
from protos.router.v1 import tenant_budget_pb2, tenant_budget_pb2_grpc
from router.cli.remote import caller
from services.shared.durations import to_seconds
from services.shared.settings import load_settings

PROMPT = "The service answers when it is asked, and says what it kept of this sentence. " * 20
NEW_TOKENS = 4


class SmokeSettings(BaseSettings):
    """Environment variables carry the prefix `SMOKE_`."""

    model_config = SettingsConfigDict(env_prefix="SMOKE_", frozen=True)

    router: str = Field("127.0.0.1:50050", description="host:port of a router")
    api_key: SecretStr | None = Field(None, description="key that the router knows, if it wants one")
    timeout_seconds: float = Field(60.0, gt=0, description="for each call")


def main() -> None:
    """Print what came, and end with code 1 and a sentence when something is wrong."""
    settings = load_settings(SmokeSettings)
    metadata = caller(settings.api_key.get_secret_value() if settings.api_key else "")
    console = Console(highlight=False)
    try:
        with grpc.insecure_channel(settings.router) as channel:
            console.print(_answer(channel, metadata, settings.timeout_seconds))
            console.print(_budget(channel, metadata, settings.timeout_seconds))
    except grpc.RpcError as error:
        raise SystemExit(f"{settings.router} answers {error.code().name}: {error.details()}") from error


def _answer(channel: grpc.Channel, metadata: tuple[tuple[str, str], ...], timeout_seconds: float) -> str:
    """Of a prompt of which half may be kept. Raises RpcError, and SystemExit for an answer that is none."""
    request = generation_pb2.GenerateRequest(
        text=PROMPT,
        sampling=generation_pb2.SamplingParams(max_new_tokens=NEW_TOKENS, temperature=0, ignore_eos=True),
        kv=generation_pb2.KvHint(keep_ratio=0.5),
        slo=generation_pb2.Slo(ttft=Duration(seconds=int(timeout_seconds))),
    )
    stub = generation_pb2_grpc.GenerationServiceStub(channel)
    complete = [*stub.Generate(request, metadata=metadata, timeout=timeout_seconds)][-1].complete
    kv, usage = complete.kv, complete.usage
    if usage.completion_tokens != NEW_TOKENS or not 0 < kv.kept_tokens <= kv.prompt_tokens:
        raise SystemExit(f"{usage.completion_tokens} tokens came and {kv.kept_tokens} were kept; look at the logs")
    seconds = to_seconds(kv.ttft)
    return f"answered in {seconds:.2f} s: {kv.kept_tokens} of {kv.prompt_tokens} tokens kept by {kv.policy}"


def _budget(channel: grpc.Channel, metadata: tuple[tuple[str, str], ...], timeout_seconds: float) -> str:
    """What the caller's tenant would be given. Raises RpcError."""
    stub = tenant_budget_pb2_grpc.TenantBudgetServiceStub(channel)
    request = tenant_budget_pb2.GetEffectiveBudgetRequest(prompt_tokens=30_000)
    found = stub.GetEffectiveBudget(request, metadata=metadata, timeout=timeout_seconds).decision
    return f"tenant {found.tenant} may keep {found.granted_tokens} of 30000 tokens, by rule {found.rule}"


if __name__ == "__main__":
    main()
