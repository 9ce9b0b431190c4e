"""A runtime with the sidecar that it follows, and what is asked of both."""

from dataclasses import dataclass

from protos.generation.v1 import generation_pb2
from protos.runtime.v1 import runtime_pb2
from protos.scorer.v1 import adapter_registry_pb2 as pb
from scorer.adapters.manifest import Manifest
from tests.integration.clients import CONVERGE_SECONDS, Client, generate_request, until
from tests.integration.registry_client import publish, stub
from tests.processes import ServerProcess

NAME = "models/tiny/adapters/random"


def asked(adapter: str = "", policy: str = "lookahead", new_tokens: int = 2) -> generation_pb2.GenerateRequest:
    """A request that an adapter scores."""
    request = generate_request(300, new_tokens, budget_tokens=100)
    request.kv.policy, request.kv.adapter = policy, adapter
    return request


@dataclass
class Pair:
    """A runtime and the sidecar that it follows."""

    runtime: Client
    registry: Client
    manifest: Manifest
    contents: dict[str, bytes]
    sidecar: ServerProcess
    process: ServerProcess

    async def publish(self, *numbers: int, alias: str = "", generation: int = 0) -> None:
        """The same adapter under these numbers."""
        for number in numbers:
            fields = {"move_alias": pb.AliasMove(alias=alias, generation=generation)} if alias else {}
            manifest = self.manifest.model_copy(update={"version": number})
            await publish(self.registry.channel, manifest, self.contents, **fields)

    async def move(self, number: int, alias: str = "default", share: float | None = None) -> None:
        adapter = (await stub(self.registry.channel).GetAdapter(pb.GetAdapterRequest(name=NAME))).adapter
        generation = next((found.generation for found in adapter.aliases if found.name == alias), 0)
        request = pb.SetAliasRequest(name=NAME, alias=alias, version=number, generation=generation, share=share)
        await stub(self.registry.channel).SetAlias(request)

    async def report(self, adapter: str = "", **fields) -> generation_pb2.KvReport:
        return (await self.runtime.answer(asked(adapter, **fields)))[1].kv

    async def answers_with(
        self, number: int, adapter: str = "", seconds: float = CONVERGE_SECONDS
    ) -> generation_pb2.KvReport:
        """The first report that names this version; it must come in time."""
        return await until(lambda: self.report(adapter), lambda kv: kv.adapter_version == number, seconds)

    async def info(self) -> runtime_pb2.GetModelInfoResponse:
        return await self.runtime.runtime.GetModelInfo(runtime_pb2.GetModelInfoRequest())
