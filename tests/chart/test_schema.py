"""Wrong values are refused by name, right ones are described."""

import json
from typing import Any

import pytest
import yaml

from helm.readme import README, table
from router.settings import RouterSettings
from scorer.settings import ScorerSettings
from services.runtime.settings import RuntimeSettings
from tests.chart.rendering import CHART, environment, pods, refusal, render

SCHEMA = json.loads((CHART / "values.schema.json").read_text())
VALUES = yaml.safe_load((CHART / "values.yaml").read_text())


@pytest.mark.parametrize(
    ("values", "path"),
    [
        ({"router": {"replicas": -1}}, "/router/replicas"),
        ({"router": {"replica": 1}}, "/router"),
        ({"rooter": {}}, "'rooter'"),
        ({"router": {"discovery": "magic"}}, "/router/discovery"),
        ({"runtime": {"env": {"RUNTIME_COALESCE": "1"}}}, "/runtime/env"),
        ({"runtime": {"env": {"RUNTIME_COALESCE_SECONDS": 1}}}, "/runtime/env/RUNTIME_COALESCE_SECONDS"),
        ({"runtime": {"gpu": {"resource": "gpu"}}}, "/runtime/gpu/resource"),
        ({"runtime": {"sharedMemory": "much"}}, "/runtime/sharedMemory"),
        ({"runtime": {"drain": {"graceSeconds": 0}}}, "/runtime/drain/graceSeconds"),
        ({"redis": {"external": {"url": "redis://user:password@host"}}}, "/redis/external/url"),
        ({"redis": {"embedded": {"image": {"digest": "latest"}}}}, "/redis/embedded/image/digest"),
        ({"tracing": {"endpoint": "collector:4317"}}, "/tracing/endpoint"),
        ({"tracing": {"endpoint": "http://collector"}}, "/tracing/endpoint"),
        ({"router": {"discovery": "static"}}, "/router/targets"),
        ({"runtime": {"updateStrategy": {"maxUnavailable": 0}}}, "/runtime/updateStrategy"),
        ({"router": {"updateStrategy": {"maxSurge": "0%"}}}, "/router/updateStrategy"),
        ({"runtime": {"autoscaling": {"minReplicas": 0}}}, "/runtime/autoscaling/minReplicas"),
        ({"logLevel": "LOUD"}, "/logLevel"),
        ({"model": {"path": "models"}}, "/model/path"),
    ],
)
def test_a_wrong_value_is_refused_with_its_path(values, path):
    assert path in refusal(**values)


@pytest.mark.parametrize(
    ("part", "container", "settings"),
    [
        ("router", "router", RouterSettings),
        ("runtime", "runtime", RuntimeSettings),
        ("runtime", "scorer", ScorerSettings),
    ],
)
def test_settings_are_set_by_the_chart_or_may_be_set_by_their_names(part, container, settings):
    prefix = settings.model_config["env_prefix"]
    pod = pods(render("external-redis-tls-values.yaml"))[f"rel-lookaheadkv-{part}"]["spec"]
    (found,) = (one for one in [*pod.get("initContainers", []), *pod["containers"]] if one["name"] == container)
    # set only where a value asks for it
    sometimes = {"ROUTER_API_KEYS_PATH", "ROUTER_POLICY_SEED_PATH", "RUNTIME_MODEL_NAME"}
    ours = (environment(found).keys() | sometimes) & {f"{prefix}{name.upper()}" for name in settings.model_fields}
    free = SCHEMA["properties"][container]["properties"]["env"]["properties"]
    assert free.keys() == {f"{prefix}{name.upper()}" for name in settings.model_fields} - ours
    assert {name: one["description"] for name, one in free.items()} == {
        name: settings.model_fields[name.removeprefix(prefix).lower()].description for name in free
    }


def test_every_value_is_in_the_schema_with_a_meaning_and_has_a_default():
    def walk(schema: dict[str, Any], values: Any, path: str) -> None:
        assert schema["description"], path
        if schema.get("additionalProperties") is not False or path.endswith(".env"):
            return
        assert schema["properties"].keys() == values.keys() | ({"global"} if not path else set()), path
        for name in values:
            walk(schema["properties"][name], values[name], f"{path}.{name}")

    walk(SCHEMA, VALUES, "")


def test_the_readme_has_the_table():
    assert table() in README.read_text(), "run: python -m helm.readme"
