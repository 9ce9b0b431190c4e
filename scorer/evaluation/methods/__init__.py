"""Eviction methods by name. To add one: a file here, and one line below. `full` keeps everything and needs none."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from scorer.adapters.weights import AdapterWeights
from scorer.evaluation.methods.base import ByScore, Method, Protected
from scorer.evaluation.methods.oracle import OracleScorer
from scorer.evaluation.methods.policy import PolicyScorer
from scorer.evaluation.methods.random import RandomScorer
from scorer.policies import load_policy
from scorer.training.frozen_model import FrozenModel

FULL = "full"
# methods whose rows an adapter makes
WITH_ADAPTER = ("lookahead", "fused")
# ours and what needs no draft, which takes longest
DEFAULT = ("oracle", "oracle_mean", "lookahead", "fused", "window", "streaming", "random")


@dataclass(frozen=True)
class Setting:
    """What methods are made with."""

    frozen: FrozenModel
    adapter: AdapterWeights | None
    protected: Protected
    window_tokens: int
    draft_tokens: int
    seed: int


def _policy(name: str, params: Callable[[Setting], dict[str, Any]]) -> Callable[[Setting], Method]:
    return lambda setting: ByScore(PolicyScorer(load_policy(name)(**params(setting))), setting.protected)


def _fusion(setting: Setting) -> dict[str, Any]:
    return {} if setting.adapter is None else setting.adapter.config.fusion.model_dump()


METHODS: dict[str, Callable[[Setting], Method]] = {
    "oracle": lambda setting: ByScore(OracleScorer("max"), setting.protected),
    "oracle_mean": lambda setting: ByScore(OracleScorer("mean"), setting.protected),
    "lookahead": _policy("lookahead", lambda setting: {}),
    "fused": _policy("fused", _fusion),
    "window": _policy("window", lambda setting: {"window_tokens": setting.window_tokens}),
    "streaming": _policy("streaming", lambda setting: {}),
    "random": lambda setting: ByScore(RandomScorer(setting.seed), setting.protected),
}
