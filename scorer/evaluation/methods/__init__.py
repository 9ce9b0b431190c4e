"""Eviction methods by name. To add one: a file here, and one line below. `full` keeps everything and needs none."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

from scorer.adapters.weights import AdapterWeights
from scorer.evaluation.methods.base import ByScore, Method, Protected
from scorer.evaluation.methods.laq import LaqMethod
from scorer.evaluation.methods.oracle import OracleScorer
from scorer.evaluation.methods.policy import PolicyScorer
from scorer.evaluation.methods.random import RandomScorer
from scorer.evaluation.methods.speckv import Drafter, ModelDrafter, SelfDrafter, SpecKvMethod, TargetDrafter
from scorer.policies import load_policy
from scorer.training.frozen_model import FrozenModel
from scorer.training.rows_forward import LookaheadModel

FULL = "full"
# methods whose rows an adapter makes
WITH_ADAPTER = ("lookahead", "fused")
# all but the drafters that need a second model or more than anyone has
DEFAULT = (
    "oracle",
    "oracle_mean",
    "lookahead",
    "fused",
    "window",
    "streaming",
    "random",
    "laq",
    "speckv_self",
)


@dataclass(frozen=True)
class Setting:
    """What methods are made with."""

    model: LookaheadModel
    adapter: AdapterWeights | None
    drafter: FrozenModel | None
    protected: Protected
    window_tokens: int
    laq_tokens: int  # of LAQ's draft
    answer_tokens: int  # of SpecKV's, which is a whole answer
    seed: int
    ends: Collection[int]


class NotPossible(ValueError):
    """A method that lacks what it is made with. The message says what."""


def _policy(name: str, params: Callable[[Setting], dict[str, Any]]) -> Callable[[Setting], Method]:
    return lambda setting: ByScore(PolicyScorer(load_policy(name)(**params(setting))), setting.protected)


def _adapter(setting: Setting, method: str) -> AdapterWeights:
    if setting.adapter is None:
        raise NotPossible(f"adapter: {method} needs one, and none was named and none is shipped for this model")
    return setting.adapter


def _lookahead(setting: Setting) -> dict[str, Any]:
    _adapter(setting, "lookahead")
    return {}


def _fusion(setting: Setting) -> dict[str, Any]:
    return _adapter(setting, "fused").config.fusion.model_dump()


_window = _policy("window", lambda setting: {"window_tokens": setting.window_tokens})


def _laq(setting: Setting) -> Method:
    return LaqMethod(setting.model, _window(setting), setting.protected, setting.laq_tokens, setting.ends)


def _speckv(drafter: Callable[[Setting], Drafter]) -> Callable[[Setting], Method]:
    return lambda setting: SpecKvMethod(
        setting.model.frozen, drafter(setting), setting.protected, setting.window_tokens, setting.answer_tokens
    )


def _model_drafter(setting: Setting) -> Drafter:
    if setting.drafter is None:
        raise NotPossible("drafter: speckv needs the folder of a smaller model; speckv_self needs none")
    return ModelDrafter(setting.drafter, setting.ends)


METHODS: dict[str, Callable[[Setting], Method]] = {
    "oracle": lambda setting: ByScore(OracleScorer("max"), setting.protected),
    "oracle_mean": lambda setting: ByScore(OracleScorer("mean"), setting.protected),
    "lookahead": _policy("lookahead", _lookahead),
    "fused": _policy("fused", _fusion),
    "window": _window,
    "streaming": _policy("streaming", lambda setting: {}),
    "random": lambda setting: ByScore(RandomScorer(setting.seed), setting.protected),
    "laq": _laq,
    "speckv": _speckv(_model_drafter),
    "speckv_self": _speckv(lambda setting: SelfDrafter(setting.model.frozen, setting.ends)),
    "speckv_full": _speckv(lambda setting: TargetDrafter()),
}
