"""What holds for the manifests whatever the values are. Each check says what is wrong."""

from collections.abc import Callable, ItemsView, Iterator

from protos.generation.v1 import generation_pb2
from protos.scorer.v1 import scoring_config_pb2
from router.settings import RouterSettings
from scorer.settings import ScorerSettings
from services.runtime.settings import RuntimeSettings
from services.smoke import SmokeSettings
from tests.chart.rendering import Manifest, containers, environment, of_kind, pods

SETTINGS = (RouterSettings, ScorerSettings, RuntimeSettings, SmokeSettings)
KNOWN = {
    f"{settings.model_config['env_prefix']}{name.upper()}" for settings in SETTINGS for name in settings.model_fields
}
# of OpenTelemetry, of the system, and of Valkey's start
KNOWN |= {"OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_TRACES_SAMPLER", "OTEL_TRACES_SAMPLER_ARG", "HOME", "PASSWORD"}
GENERATION = generation_pb2.DESCRIPTOR.services_by_name["GenerationService"].full_name
SCORING = scoring_config_pb2.DESCRIPTOR.services_by_name["ScoringConfigService"].full_name
# whose readiness each process tells, and on which port
PROBED = {"router": (50050, GENERATION), "runtime": (50052, GENERATION), "scorer": (50051, SCORING)}
SECRET_WORDS = ("PASSWORD", "TOKEN", "SECRET", "API_KEY")
PROBES = ("startupProbe", "readinessProbe", "livenessProbe")

Check = Callable[[list[Manifest]], Iterator[str]]


def probes(manifests: list[Manifest]) -> Iterator[str]:
    """Every container that stays has all three, and they ask the right process for the right service."""
    for name, pod in pods(manifests).items():
        if pod.get("kind") == "Pod":
            continue
        for container in containers(pod):
            where = f"{name}/{container['name']}"
            yield from (f"{where} has no {probe}" for probe in PROBES if probe not in container)
            if known := PROBED.get(container["name"]):
                yield from _grpc_probes(where, container, *known)


def _grpc_probes(where: str, container: Manifest, port: int, service: str) -> Iterator[str]:
    asked = {probe: container.get(probe, {}).get("grpc", {}) for probe in PROBES}
    for probe, grpc in asked.items():
        if grpc.get("port") != port:
            yield f"{where}: {probe} asks port {grpc.get('port')}"
    if asked["readinessProbe"].get("service") != service:
        yield f"{where}: readiness is that of {asked['readinessProbe'].get('service')}"
    # a process lives also while its model loads and Redis is away
    if asked["livenessProbe"].get("service"):
        yield f"{where}: liveness depends on {asked['livenessProbe']['service']}"


def security(manifests: list[Manifest]) -> Iterator[str]:
    """Nobody is root, may become it, or writes where it is not told to."""
    for name, pod in pods(manifests).items():
        context = pod["spec"].get("securityContext", {})
        if not context.get("runAsNonRoot") or context.get("seccompProfile", {}).get("type") != "RuntimeDefault":
            yield f"{name} may run as root, or without seccomp"
        for container in containers(pod):
            own = container.get("securityContext", {})
            if (
                own.get("allowPrivilegeEscalation") is not False
                or not own.get("readOnlyRootFilesystem")
                or own.get("capabilities", {}).get("drop") != ["ALL"]
            ):
                yield f"{name}/{container['name']} has more rights than it needs"


def grace(manifests: list[Manifest]) -> Iterator[str]:
    """A pod has more time to end than its processes take."""
    for name, pod in pods(manifests).items():
        if pod.get("kind") == "Pod":
            continue
        most = pod["spec"].get("terminationGracePeriodSeconds", 30)
        for container in containers(pod):
            drains = [
                float(value)
                for key, value in environment(container).items()
                if key.endswith("_SHUTDOWN_GRACE_SECONDS") and isinstance(value, str)
            ]
            if drains and most <= max(drains) + _sleeps(container):
                yield f"{name} is killed after {most} s, {container['name']} takes {max(drains)} s and more"


def _sleeps(container: Manifest) -> float:
    command = container.get("lifecycle", {}).get("preStop", {}).get("exec", {}).get("command", [""])[-1]
    return float(command.partition("sleep(")[2].partition(")")[0] or 0)


def tokens(manifests: list[Manifest]) -> Iterator[str]:
    """Only who may ask the Kubernetes API can."""
    bound = "RoleBinding" in {manifest["kind"] for manifest in manifests}
    for name, pod in pods(manifests).items():
        watches = bound and name.endswith("-router")
        if pod["spec"].get("automountServiceAccountToken") is not watches:
            yield f"{name} has a token of the API that it has no use for, or none that it needs"


def network(manifests: list[Manifest]) -> Iterator[str]:
    """Nothing passes that no policy names."""
    policies = of_kind(manifests, "NetworkPolicy")
    denying = [policy["spec"] for policy in policies.values() if not {"ingress", "egress"} & policy["spec"].keys()]
    for name, pod in pods(manifests).items():
        labels = _labels(pod)
        if not any(policy["podSelector"]["matchLabels"].items() <= labels for policy in denying):
            yield f"everything may talk to {name}, and it to everything"


def environment_is_known(manifests: list[Manifest]) -> Iterator[str]:
    """Each variable is a setting of some process."""
    for name, pod in pods(manifests).items():
        for container in containers(pod):
            for variable in environment(container).keys() - KNOWN:
                yield f"{name}/{container['name']}: nobody reads {variable}"


def secrets(manifests: list[Manifest]) -> Iterator[str]:
    """What is secret comes from a Secret."""
    for name, pod in pods(manifests).items():
        for container in containers(pod):
            for variable, value in environment(container).items():
                secret = any(word in variable for word in SECRET_WORDS) and not variable.endswith("_PATH")
                if secret and not (isinstance(value, dict) and "secretKeyRef" in value):
                    yield f"{name}/{container['name']}: {variable} is there to read"


def selectors(manifests: list[Manifest]) -> Iterator[str]:
    """Services, workloads and budgets of disruption find their pods, and services their ports."""
    found = list(pods(manifests).values())
    for manifest in manifests:
        spec = manifest.get("spec", {})
        wanted = spec.get("selector")
        if not wanted or manifest["kind"] == "PodMonitor":
            continue
        labels = wanted.get("matchLabels", wanted)
        matching = [pod for pod in found if labels.items() <= _labels(pod)]
        if len(matching) != 1:
            yield f"{manifest['kind']} {manifest['metadata']['name']} selects {len(matching)} kinds of pods"
        elif manifest["kind"] == "Service":
            named = {port["name"] for container in containers(matching[0]) for port in container.get("ports", [])}
            missing = {port["targetPort"] for port in spec["ports"]} - named
            yield from (f"service {manifest['metadata']['name']}: there is no port {port}" for port in missing)


def _labels(pod: Manifest) -> ItemsView[str, str]:
    return (pod["metadata"].get("labels") or {}).items()


def replicas(manifests: list[Manifest]) -> Iterator[str]:
    """Whoever scales says how many there are; a single pod may be taken away."""
    scaled = {
        manifest["spec"]["scaleTargetRef"]["name"]
        for manifest in manifests
        if manifest["kind"] in ("HorizontalPodAutoscaler", "ScaledObject")
    }
    for manifest in manifests:
        if manifest["kind"] == "Deployment" and ("replicas" in manifest["spec"]) == (
            manifest["metadata"]["name"] in scaled
        ):
            yield f"{manifest['metadata']['name']}: replicas and an autoscaler, or none of both"
    single = {name for name, one in of_kind(manifests, "Deployment").items() if one["spec"].get("replicas", 2) < 2}
    budgets = of_kind(manifests, "PodDisruptionBudget").keys()
    yield from (f"{name}: a budget of disruption for one pod" for name in single & budgets)


def mounts(manifests: list[Manifest]) -> Iterator[str]:
    """Every mount has its volume, every volume its mount, and every process a /tmp."""
    for name, pod in pods(manifests).items():
        volumes = {volume["name"] for volume in pod["spec"].get("volumes", [])}
        volumes |= {"data"} if "redis" in name else set()
        used = {mount["name"] for container in containers(pod) for mount in container.get("volumeMounts", [])}
        if volumes != used:
            yield f"{name}: volumes {sorted(volumes)}, mounted {sorted(used)}"
        for container in containers(pod):
            paths = {mount["mountPath"] for mount in container.get("volumeMounts", [])}
            if container["name"] != "valkey" and "/tmp" not in paths:
                yield f"{name}/{container['name']} has nowhere to write"


CHECKS: tuple[Check, ...] = (
    probes,
    security,
    tokens,
    grace,
    network,
    environment_is_known,
    secrets,
    selectors,
    replicas,
    mounts,
)


def problems(manifests: list[Manifest]) -> list[str]:
    """All that any check finds."""
    return [problem for check in CHECKS for problem in check(manifests)]
