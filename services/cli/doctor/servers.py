"""What runs already: our own processes."""

from collections.abc import Iterator

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from services.cli.doctor.finding import Finding, Subject, ok, skipped, wrong
from services.cli.rpc_errors import sentence_of

SECONDS = 5.0
SERVICES = ("lookaheadkv.generation.v1.GenerationService", "lookaheadkv.scorer.v1.ScoringConfigService")


def servers(subject: Subject) -> Iterator[Finding]:
    """What their health says."""
    if not subject.servers:
        yield skipped("servers", "name routers, runtimes and scorers with --server")
    for target in subject.servers:
        yield _server(target)


def _server(target: str) -> Finding:
    name = f"server {target}"
    with grpc.insecure_channel(target) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        try:
            stub.Check(health_pb2.HealthCheckRequest(), timeout=SECONDS)
            states = {service: _state(stub, service) for service in SERVICES}
        except grpc.RpcError as error:
            # the sentence ends with what to do
            found, _, remedy = sentence_of(error, target).partition("; ")
            return wrong(name, found, remedy or "name its gRPC port; its log says why it is not there")
    if "serving" not in states.values():
        return wrong(name, "lives, and is not ready", "its log says why; a model may still be loading")
    return ok(name, "is ready")


def _state(stub: health_pb2_grpc.HealthStub, service: str) -> str:
    """Empty for a service of another process."""
    try:
        answer = stub.Check(health_pb2.HealthCheckRequest(service=service), timeout=SECONDS)
    except grpc.RpcError as error:
        if error.code() is grpc.StatusCode.NOT_FOUND:
            return ""
        raise
    return health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status).lower()
