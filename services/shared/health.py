"""grpc.health.v1 of a process: "" says that it lives, a service's name that it is ready, and if not, why."""

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


class Health:
    """Liveness and readiness of one server. `services` are full names, all not ready at first.

    `apart` are those that may be down while the others serve; `flag` says how they are.
    """

    def __init__(
        self, server: grpc.aio.Server, services: tuple[str, ...], *, reflect: bool, apart: tuple[str, ...] = ()
    ) -> None:
        self.services = services
        self._apart = apart
        self.reason = "starting"
        self._left = False
        self._servicer = health.aio.HealthServicer()
        health_pb2_grpc.add_HealthServicer_to_server(self._servicer, server)
        if reflect:
            reflection.enable_server_reflection(
                (*services, *apart, health.SERVICE_NAME, reflection.SERVICE_NAME), server
            )

    async def alive(self) -> None:
        """The process lives; none of its services is ready yet."""
        await self._servicer.set("", SERVING)
        await self.not_ready("starting")
        for name in self._apart:
            await self._servicer.set(name, NOT_SERVING)

    async def ready(self) -> None:
        """Every service serves, unless this process is about to leave."""
        if self._left:
            return
        self.reason = ""
        for name in self.services:
            await self._servicer.set(name, SERVING)

    async def not_ready(self, reason: str) -> None:
        """Readiness fails from now on; `reason` is what a refused caller is told."""
        self.reason = reason
        for name in self.services:
            await self._servicer.set(name, NOT_SERVING)

    async def flag(self, name: str, ok: bool) -> None:
        """Show a part of the process that may be down while the process serves on, e.g. `scoring-config`."""
        await self._servicer.set(name, SERVING if ok and not self._left else NOT_SERVING)

    async def leave(self, reason: str = "shutting down") -> None:
        """Readiness fails for good; liveness stays."""
        self._left = True
        await self.not_ready(reason)
        for name in self._apart:
            await self._servicer.set(name, NOT_SERVING)
