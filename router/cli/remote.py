"""The router that a command talks to."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import grpc
import typer

from protos.router.v1 import tenant_budget_pb2 as pb
from protos.router.v1 import tenant_budget_pb2_grpc
from router.tenants.inheritance import resource_name
from router.tenants.messages import to_policy
from router.tenants.policy import CLUSTER, TenantPolicy
from services.shared.cli.running import Refused, refusals

NO_ROUTER = "is missing; name a router, e.g. 127.0.0.1:50050, or set LOOKAHEADKV_ROUTER"
TIMEOUT_SECONDS = 30.0
PAGE_SIZE = 500

Router = Annotated[str, typer.Option("--router", envvar="LOOKAHEADKV_ROUTER", help="host:port of a router.")]
# only from the environment, so that it is in no list of processes
ApiKey = Annotated[str, typer.Option("--api-key", envvar="LOOKAHEADKV_API_KEY", hidden=True)]
CaFile = Annotated[
    Path | None, typer.Option("--router-ca-file", help="Use TLS, and trust this certificate authority.", exists=True)
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Tenant = Annotated[str, typer.Argument(metavar="TENANT", help=f"A tenant, or `{CLUSTER}` for what all inherit.")]


@dataclass(frozen=True)
class Budget:
    """A policy as it lies there."""

    tenant: str
    policy: TenantPolicy
    message: pb.TenantBudget


class Remote:
    """The API of a router, in the words of the commands."""

    def __init__(self, channel: grpc.Channel, api_key: str) -> None:
        self._stub = tenant_budget_pb2_grpc.TenantBudgetServiceStub(channel)
        self._metadata = caller(api_key)

    def call(self, method: str, request: Any) -> Any:
        """The answer. Raises Refused with the router's sentence."""
        try:
            return getattr(self._stub, method)(request, timeout=TIMEOUT_SECONDS, metadata=self._metadata)
        except grpc.RpcError as error:
            raise Refused(f"{error.code().name}: {error.details()}") from error

    def find(self, tenant: str) -> Budget | None:
        """The policy of a tenant; None where there is none."""
        request = pb.GetTenantBudgetRequest(name=resource_name(tenant))
        try:
            answer = self._stub.GetTenantBudget(request, timeout=TIMEOUT_SECONDS, metadata=self._metadata)
        except grpc.RpcError as error:
            if error.code() is grpc.StatusCode.NOT_FOUND:
                return None
            raise Refused(f"{error.code().name}: {error.details()}") from error
        return _budget(answer.budget)

    def all(self) -> list[Budget]:
        """Every policy, in the order of their names."""
        found, token = [], ""
        while True:
            request = pb.ListTenantBudgetsRequest(page_size=PAGE_SIZE, page_token=token)
            page = self.call("ListTenantBudgets", request)
            found += [_budget(message) for message in page.budgets]
            token = page.next_page_token
            if not token:
                return found


@contextmanager
def remote(router: str, api_key: str, ca_file: Path | None) -> Iterator[Remote]:
    """The router of these arguments. What it refuses in this block ends the process with a sentence and a code."""
    with refusals(), open_channel(router, ca_file) as channel:
        yield Remote(channel, api_key)


def open_channel(router: str, ca_file: Path | None) -> grpc.Channel:
    """To a router. Raises BadParameter when none is named."""
    if not router:
        raise typer.BadParameter(NO_ROUTER, param_hint="--router")
    if ca_file is None:
        return grpc.insecure_channel(router)
    return grpc.secure_channel(router, grpc.ssl_channel_credentials(ca_file.read_bytes()))


def caller(api_key: str) -> tuple[tuple[str, str], ...]:
    """The headers by which a router knows who calls."""
    return (("authorization", f"Bearer {api_key}"),) if api_key else ()


def tenant_of(message: pb.TenantBudget) -> str:
    """The tenant of a resource."""
    name: str = message.name
    return name.removeprefix("tenants/").removesuffix("/budgetPolicy")


def _budget(message: pb.TenantBudget) -> Budget:
    return Budget(tenant_of(message), to_policy(message), message)
