"""A scoring configuration from the wire, checked against the policies that are here."""

import json
from typing import Any

from google.protobuf.json_format import MessageToDict
from google.protobuf.struct_pb2 import Struct
from pydantic import TypeAdapter, ValidationError

from protos.scorer.v1 import scoring_config_pb2
from scorer.policies import POLICIES, POLICY_NAMES, load_policy
from services.runtime.eviction import ScoringDefaults

# field: least value that makes sense
TOKEN_FIELDS = {"sink_tokens": 0, "recent_tokens": 0, "min_budget_tokens": 1, "min_evicted_tokens": 0}


def to_defaults(config: scoring_config_pb2.ScoringConfig) -> ScoringDefaults:
    """`config` as the runtime uses it. Raises ValueError naming the field that it cannot use. Imports torch."""
    if config.policy not in POLICY_NAMES:
        raise ValueError(f"policy: {config.policy!r} is not here; known: {', '.join(POLICY_NAMES)}")
    params = {name: _params(name, struct) for name, struct in config.policy_params.items()}
    tokens = {name: _at_least(name, getattr(config, name), least) for name, least in TOKEN_FIELDS.items()}
    return ScoringDefaults(
        version=config.version, source="scorer", policy=config.policy, policy_params=params, **tokens
    )


def _params(name: str, struct: Struct) -> dict[str, Any]:
    if name not in POLICIES:
        raise ValueError(f"policy_params: {name!r} is not a policy; known: {', '.join(POLICIES)}")
    try:
        params = _plain(MessageToDict(struct))
        policy = load_policy(name)
        # the constructor refuses unknown names and bad values, pydantic wrong types
        policy(**params)
        TypeAdapter(policy).validate_json(json.dumps(params), strict=True)
    except ValidationError as error:
        problems = [f"{problem['loc'][0]}: {problem['msg']}" for problem in error.errors(include_url=False)]
        raise ValueError(f"policy_params.{name}: {'; '.join(problems)}") from error
    except (TypeError, ValueError) as error:
        raise ValueError(f"policy_params.{name}: {error}") from error
    return params


def _plain(value: Any) -> Any:
    """`value` with whole numbers as int, for a Struct knows only floating point."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _at_least(name: str, value: int, least: int) -> int:
    if value < least:
        raise ValueError(f"{name}: {value} must be at least {least}")
    return value
