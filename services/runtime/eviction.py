"""What is to be evicted from a request's KV cache, and what was."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Self

from scorer.policies import ADAPTER_POLICIES, FALLBACK, FULL
from services.runtime.adapter_table import Chosen
from services.shared.generation import GenerateCall


@dataclass(frozen=True)
class ScoringDefaults:
    """The scoring configuration in force. Without a scorer these are the built-in values."""

    version: str = "builtin"
    source: str = "builtin"
    policy: str = "window"
    policy_params: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    sink_tokens: int = 4
    recent_tokens: int = 32
    min_budget_tokens: int = 64
    min_evicted_tokens: int = 64


@dataclass(frozen=True)
class EvictionPlan:
    """Keep `budget_tokens` of the prompt per layer and KV head, chosen by `policy(**params)`.

    `adapter` is the id of the one that scores; empty for the one that the engine started with.
    """

    policy: str
    params: Mapping[str, Any]
    budget_tokens: int
    sink_tokens: int
    recent_tokens: int
    trace_path: str = ""
    adapter: str = ""

    def to_params(self) -> dict[str, Any]:
        """JSON-safe form, for the engine's own request parameters."""
        return asdict(self)

    @classmethod
    def from_params(cls, params: Mapping[str, Any]) -> Self:
        return cls(**params)


@dataclass(frozen=True)
class EvictionReport:
    """What the engine did with a plan. `skipped` says why nothing was evicted; empty when something was.

    `adapter` and its version are those that scored, empty and 0 when none did. `replaced` says why `window` scored in
    place of the plan's policy.
    """

    kept_tokens: int
    free_slots_before: int = 0
    free_slots_after: int = 0
    retained_mass: float | None = None
    scoring_seconds: float = 0.0
    compaction_seconds: float = 0.0
    skipped: str = ""
    adapter: str = ""
    adapter_version: int = 0
    replaced: str = ""


@dataclass(frozen=True)
class Decision:
    """A plan, or None to keep the prompt whole, and why. `asked_tokens` is the budget before floors, 0 for none.

    `alias` is the one that the plan's adapter was found by.
    """

    plan: EvictionPlan | None
    asked_tokens: int
    reasons: tuple[str, ...]
    alias: str = ""


def decide(
    call: GenerateCall,
    prompt_tokens: int,
    defaults: ScoringDefaults,
    lookahead_objection: str = "",
    adapter: Chosen | None = None,
) -> Decision:
    """Turn the router's directive, or else the client's hint, into a plan for a prompt of this length.

    With a `lookahead_objection`, policies that need an adapter become `window`, and the reasons say so; else the plan
    names the adapter, and a note of its choice is among the reasons.
    """
    asked, reasons = _asked_tokens(call, prompt_tokens)
    directive = call.directive
    policy = (directive.policy if directive else call.kv.policy) or defaults.policy
    if lookahead_objection and policy in ADAPTER_POLICIES:
        reasons = (f"{FALLBACK} in place of {policy}, for {lookahead_objection}", *reasons)
        policy = FALLBACK
    if policy == FULL:
        return Decision(None, asked or 0, (*reasons, "policy full keeps the whole prompt"))
    if asked is None:
        return Decision(None, 0, (*reasons, "no budget was given, so the whole prompt is kept"))
    sinks = _given(directive.sink_tokens if directive else None, defaults.sink_tokens)
    recent = _given(directive.recent_tokens if directive else None, defaults.recent_tokens)
    floor = max(defaults.min_budget_tokens, sinks + recent)
    budget = max(asked, floor)
    if budget > asked:
        reasons = (f"raised from {asked} to the floor of {floor} tokens", *reasons)
    if prompt_tokens < budget + defaults.min_evicted_tokens:
        why = f"a prompt of {prompt_tokens} tokens exceeds {budget} by less than {defaults.min_evicted_tokens}"
        return Decision(None, asked, (f"{why}, so it is kept whole", *reasons))
    plan = EvictionPlan(policy, dict(defaults.policy_params.get(policy, {})), budget, sinks, recent)
    if adapter is None or policy not in ADAPTER_POLICIES:
        return Decision(plan, asked, reasons)
    reasons = (adapter.note, *reasons) if adapter.note else reasons
    return Decision(replace(plan, adapter=adapter.id), asked, reasons, adapter.alias)


def adapter_gone(plan: EvictionPlan) -> str:
    """Why `window` scores in place of a plan whose adapter was unloaded since the request came."""
    name = plan.adapter or "the adapter of the start"
    return f"{FALLBACK} in place of {plan.policy}, for {name} is not loaded any more"


def _asked_tokens(call: GenerateCall, prompt_tokens: int) -> tuple[int | None, tuple[str, ...]]:
    if call.directive:
        return call.directive.budget_tokens, call.directive.reasons
    if call.kv.budget_tokens:
        return call.kv.budget_tokens, (f"the request asked for {call.kv.budget_tokens} tokens",)
    if call.kv.keep_ratio:
        tokens = max(1, int(call.kv.keep_ratio * prompt_tokens))
        return tokens, (f"the request asked for a ratio of {call.kv.keep_ratio:g}: {tokens} tokens",)
    return None, ()


def _given(value: int | None, default: int) -> int:
    return default if value is None else value
