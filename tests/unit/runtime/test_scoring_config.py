"""A configuration from the wire is used only when every part of it can be."""

from typing import Any

import pytest
from google.protobuf.struct_pb2 import Struct

from protos.scorer.v1 import scoring_config_pb2
from services.runtime.eviction import ScoringDefaults
from services.runtime.scoring_config import to_defaults

DEFAULTS: dict[str, Any] = {"version": "v1", "policy": "window", "min_budget_tokens": 64}


def config(params: dict[str, Any] | None = None, **fields: Any) -> scoring_config_pb2.ScoringConfig:
    message = scoring_config_pb2.ScoringConfig(**DEFAULTS | fields)
    for name, values in (params or {}).items():
        struct = Struct()
        struct.update(values)
        message.policy_params[name].CopyFrom(struct)
    return message


def test_good_configuration_is_taken_over_and_whole_numbers_stay_whole():
    defaults = to_defaults(config({"window": {"pool_width": 7}}, sink_tokens=2, recent_tokens=8, min_evicted_tokens=1))
    assert defaults == ScoringDefaults("v1", "scorer", "window", {"window": {"pool_width": 7}}, 2, 8, 64, 1)
    assert isinstance(defaults.policy_params["window"]["pool_width"], int)


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"policy": "best"}, "policy: 'best' is not here; known: full, "),
        ({"policy": ""}, "policy: '' is not here"),
        ({"params": {"best": {}}}, "policy_params: 'best' is not a policy"),
        ({"params": {"full": {}}}, "policy_params: 'full' is not a policy"),
        ({"params": {"window": {"pool_width": 6}}}, "policy_params.window: pool_width: 6 must be odd"),
        ({"params": {"window": {"pool": 5}}}, "policy_params.window: .*'pool'"),
        ({"params": {"window": {"pool_width": "wide"}}}, "policy_params.window: "),
        ({"params": {"window": {"pool_width": 5.5}}}, "policy_params.window: pool_width: .*valid integer"),
        ({"params": {"window": {"window_tokens": True}}}, "policy_params.window: window_tokens: .*valid integer"),
        ({"params": {"window": {"pool_width": float("nan")}}}, "policy_params.window: "),
        ({"sink_tokens": -1}, "sink_tokens: -1 must be at least 0"),
        ({"min_budget_tokens": 0}, "min_budget_tokens: 0 must be at least 1"),
    ],
)
def test_what_cannot_be_used_is_refused_by_field(wrong, sentence):
    with pytest.raises(ValueError, match=f"^{sentence}"):
        to_defaults(config(**wrong))
