"""Values do what they say, each in the place that Kubernetes reads."""

import json
from typing import Any

import pytest

from services.shared.redis.options import RedisOptions
from tests.chart.rendering import CHART, Manifest, helm, of_kind, pods, render_with


def pod(part: str, **values: Any) -> Manifest:
    """The pod's spec of a part."""
    spec: Manifest = pods(render_with(**values))[f"rel-lookaheadkv-{part}"]["spec"]
    return spec


def ports_out(**values: Any) -> set[int]:
    """Ports that routers may call anywhere in the world."""
    rules = of_kind(render_with(**values), "NetworkPolicy")["router"]["spec"]["egress"]
    return {port["port"] for rule in rules if "to" not in rule for port in rule["ports"]}


@pytest.mark.parametrize(
    "url",
    [
        "redis://10.0.0.5",
        "redis://redis1/2",
        "rediss://redis1:6380/0",
        "redis://redis1?db=3",
        "redis://[fd00::5]",
        "redis://[fd00::5]:6390",
        "redis+cluster://a:7000,b:7001,c",
        "unix:///run/redis.sock",
    ],
)
def test_the_policy_lets_out_to_the_ports_that_the_url_names(url):
    assert ports_out(redis={"external": {"url": url}}) == {port for _, port in RedisOptions(url).hosts}


def test_the_policy_lets_out_to_sentinels_and_to_their_master():
    url = "redis+sentinel://a:26380,b/main"
    assert ports_out(redis={"external": {"url": url}}) == {26380, 26379, 6379}


@pytest.mark.parametrize("endpoint", ["http://c1:4318", "https://c1:4318/", "http://[fd00::5]:4318"])
def test_the_policy_lets_traces_out_to_their_port(endpoint):
    assert ports_out(tracing={"endpoint": endpoint}) == {4318}


def test_a_change_of_scoring_loads_no_model_again_and_one_of_the_seed_restarts_routers_alone():
    before: dict[str, Any] = {
        "scorer": {"config": "default: {policy: fused}\n"},
        "router": {"tenantSeed": "cluster: {limits: {}}\n"},
    }
    scoring = {**before, "scorer": {"config": "default: {policy: window}\n"}}
    seed = {**before, "router": {"tenantSeed": "cluster: {limits: {max_keep_ratio: 0.5}}\n"}}
    now, rescored, reseeded = (pods(render_with(**values)) for values in (before, scoring, seed))
    assert rescored == now
    changed = {name for name in now if now[name] != reseeded[name]}
    assert changed == {"rel-lookaheadkv-router"}


def test_autoscaling_looks_at_the_runtimes_of_its_own_release():
    triggers = of_kind(render_with(runtime={"autoscaling": {"enabled": True}}), "ScaledObject")["runtime"]["spec"]
    for trigger in triggers["triggers"]:
        assert '{namespace="serving", pod=~"rel-lookaheadkv-runtime-.*"}' in trigger["metadata"]["query"]


def test_a_runtime_asks_for_its_gpu_by_the_name_of_the_device_plugin_and_tolerates_its_nodes():
    mig = "nvidia.com/mig-3g.40gb"
    spec = pod("runtime", runtime={"gpu": {"resource": mig, "count": 2}, "runtimeClassName": "nvidia"})
    assert spec["containers"][0]["resources"]["limits"][mig] == 2
    assert {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"} in spec["tolerations"]
    assert spec["runtimeClassName"] == "nvidia"


def test_a_runtime_without_gpu_asks_for_none_and_tolerates_none():
    spec = pod("runtime", runtime={"gpu": {"enabled": False}})
    assert not [name for name in spec["containers"][0]["resources"]["limits"] if name.startswith("nvidia.com")]
    assert "tolerations" not in spec


def test_shared_memory_is_memory_with_a_limit():
    spec = pod("runtime", runtime={"sharedMemory": "3Gi"})
    assert {"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": "3Gi"}} in spec["volumes"]
    assert {"name": "shm", "mountPath": "/dev/shm"} in spec["containers"][0]["volumeMounts"]


def test_the_scorer_is_a_native_sidecar_or_a_plain_container():
    native, plain = pod("runtime"), pod("runtime", scorer={"nativeSidecar": False})
    assert [(one["name"], one.get("restartPolicy")) for one in native["initContainers"]] == [("scorer", "Always")]
    assert "initContainers" not in plain
    assert [(one["name"], one.get("restartPolicy")) for one in plain["containers"]] == [
        ("runtime", None),
        ("scorer", None),
    ]


@pytest.mark.parametrize("part", ["runtime", "router"])
def test_pods_are_placed_and_filled_as_asked_for(part):
    asked: dict[str, Any] = {
        "nodeSelector": {"pool": "a"},
        "priorityClassName": "serving",
        "initContainers": [{"name": "fetch", "image": "fetch:1"}],
        "extraVolumes": [{"name": "model", "emptyDir": {}}],
        "extraVolumeMounts": [{"name": "model", "mountPath": "/models"}],
        "extraEnv": [{"name": "MINE", "value": "1"}],
        "extraArgs": ["--mine"],
        "image": {"digest": f"sha256:{'0' * 64}"},
    }
    spec = pod(part, imagePullSecrets=[{"name": "registry"}], **{part: asked})
    container = next(one for one in spec["containers"] if one["name"] == part)
    assert (spec["nodeSelector"], spec["priorityClassName"]) == ({"pool": "a"}, "serving")
    assert spec["imagePullSecrets"] == [{"name": "registry"}]
    assert spec["initContainers"][0]["name"] == "fetch"
    assert spec["topologySpreadConstraints"][0]["topologyKey"] == "kubernetes.io/hostname"
    assert asked["extraVolumes"][0] in spec["volumes"]
    assert asked["extraVolumeMounts"][0] in container["volumeMounts"]
    assert asked["extraEnv"][0] in container["env"]
    assert container["args"] == ["--mine"]
    assert container["image"].endswith(f"@sha256:{'0' * 64}")


def test_a_pod_that_never_gets_ready_does_not_hold_up_who_drains_its_node():
    budgets = of_kind(render_with(router={"replicas": 2}, runtime={"replicas": 2}), "PodDisruptionBudget")
    assert {one["spec"]["unhealthyPodEvictionPolicy"] for one in budgets.values()} == {"AlwaysAllow"}


def test_manifests_of_ones_own_are_objects_or_templates():
    templated = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: '{{ .Release.Name }}-more'}\n"
    objects = [templated, {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "mine"}}]
    assert {"rel-more", "mine"} <= of_kind(render_with(extraObjects=objects), "ConfigMap").keys()


def notes(**values: Any) -> str:
    """What helm prints after an install."""
    dry = ("install", "kv", str(CHART), "--dry-run=client", "--values", "-")
    shown = helm(*dry, values=json.dumps(values))
    assert shown.returncode == 0, shown.stderr
    return shown.stdout.partition("NOTES:")[2]


def test_notes_tell_the_first_request_and_the_first_budget():
    told = notes()
    assert "/v1/completions" in told and "lookaheadkv tenants set" in told
    assert "LOOKAHEADKV_API_KEY" not in told


def test_notes_ask_with_a_key_where_routers_want_one():
    told = notes(router={"apiKeysSecret": "keys"})
    assert "export LOOKAHEADKV_API_KEY=" in told and "authorization: Bearer $LOOKAHEADKV_API_KEY" in told
    assert "Every caller is one tenant" not in told


def test_notes_say_what_budgets_need():
    told = notes(redis={"enabled": False}, router={"http": {"enabled": False}})
    assert "needs a Redis" in told and "/v1/completions" not in told
