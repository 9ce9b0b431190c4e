"""The ready endpoints of a Kubernetes service, by its EndpointSlices."""

import asyncio
from collections.abc import AsyncGenerator, Iterable
from typing import Any

import structlog
from kubernetes_asyncio import client, config, watch
from kubernetes_asyncio.client import V1EndpointSlice
from kubernetes_asyncio.config import ConfigException

from router.replicas.discovery import Targets
from services.shared.lifecycle import to_address

SERVICE_LABEL = "kubernetes.io/service-name"
RETRY_SECONDS = 2.0
# a watch that says nothing for so long is begun again, for its connection may be dead
WATCH_SECONDS = 60

logger = structlog.get_logger()


class KubernetesTargets:
    """Lists and watches; while the API does not answer, the last ones stay. Needs `list` and `watch` of EndpointSlices.

    The API is that of the cluster that the router runs in, else that of KUBECONFIG.
    """

    def __init__(self, namespace: str, service: str, port: int) -> None:
        self._namespace, self._service, self._port = namespace, service, port

    async def targets(self) -> AsyncGenerator[Targets, None]:
        known: Targets | None = None
        while True:
            try:
                async for found in self._watched():
                    if found != known:
                        known = found
                        yield found
            # whatever the API says, and however its client puts it: what is known stays
            except Exception as error:
                reason = getattr(error, "reason", None) or str(error) or type(error).__name__
                logger.warning("runtimes not watched", service=f"{self._namespace}/{self._service}", error=reason)
            await asyncio.sleep(RETRY_SECONDS)

    async def _watched(self) -> AsyncGenerator[Targets, None]:
        """Until the watch ends."""
        async with client.ApiClient(await _configuration()) as api:
            call = client.DiscoveryV1Api(api).list_namespaced_endpoint_slice
            label = f"{SERVICE_LABEL}={self._service}"
            listed = await call(self._namespace, label_selector=label, _request_timeout=WATCH_SECONDS)
            slices: dict[str, V1EndpointSlice] = {item.metadata.name: item for item in listed.items}
            yield self._targets(slices.values())
            async with watch.Watch() as watching:
                async for event in watching.stream(
                    call,
                    self._namespace,
                    label_selector=label,
                    resource_version=listed.metadata.resource_version,
                    timeout_seconds=WATCH_SECONDS,
                    _request_timeout=2 * WATCH_SECONDS,
                ):
                    _take(slices, event)
                    yield self._targets(slices.values())

    def _targets(self, slices: Iterable[V1EndpointSlice]) -> Targets:
        return frozenset(
            to_address(address, self._port)
            for item in slices
            for endpoint in item.endpoints or ()
            # one whose readiness is not known counts as ready
            if endpoint.conditions is None or endpoint.conditions.ready is not False
            for address in endpoint.addresses
        )


def _take(slices: dict[str, V1EndpointSlice], event: dict[str, Any]) -> None:
    changed: V1EndpointSlice = event["object"]
    if event["type"] == "DELETED":
        slices.pop(changed.metadata.name, None)
    else:
        slices[changed.metadata.name] = changed


async def _configuration() -> client.Configuration:
    """Of the cluster around us, else of the file that kubectl uses. Raises ConfigException."""
    found = client.Configuration()
    try:
        config.load_incluster_config(client_configuration=found)
    except ConfigException:
        await config.load_kube_config(client_configuration=found)
    return found
