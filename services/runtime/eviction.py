"""What is to be evicted from a request's KV cache, and what was."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Self

from scorer.policies import ADAPTER_POLICIES, BLIND_POLICIES, FALLBACK, FULL
from services.runtime.adapter_table import Chosen
from services.shared.generation import Directive, GenerateCall


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

    `adapter` is the id of the one that scores; empty for the one that the engine started with. With
    `min_retained_mass` the engine keeps as few as hold it by the policy's own prediction, not below `floor_tokens`, and
    at most `budget_tokens`; where that leaves less than `min_evicted_tokens` to evict, the prompt stays whole.
    """

    policy: str
    params: Mapping[str, Any]
    budget_tokens: int
    sink_tokens: int
    recent_tokens: int
    trace_path: str = ""
    adapter: str = ""
    min_retained_mass: float | None = None
    floor_tokens: int = 0
    min_evicted_tokens: int = 0

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
    place of the plan's policy, `choice` whether the mass or the cap decided; empty without a mass. `scoring_ended` and
    `compaction_ended` are in seconds since the epoch, 0 where there was none.
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
    choice: str = ""
    scoring_ended: float = 0.0
    compaction_ended: float = 0.0


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
    policy, mass, notes = _policy(call, defaults, lookahead_objection)
    reasons = (*notes, *reasons)
    if policy == FULL:
        return Decision(None, asked or 0, (*reasons, "policy full keeps the whole prompt"))
    if asked is None and mass is None:
        return Decision(None, 0, (*reasons, "no budget was given, so the whole prompt is kept"))
    sinks, recent = _protected(call, defaults)
    floor = max(defaults.min_budget_tokens, sinks + recent)
    # without a budget the prompt is the cap
    budget = max(prompt_tokens if asked is None else asked, floor)
    if asked is not None and budget > asked:
        reasons = (f"raised from {asked} to the floor of {floor} tokens", *reasons)
    fewest = budget if mass is None else floor
    if prompt_tokens < fewest + defaults.min_evicted_tokens:
        why = f"a prompt of {prompt_tokens} tokens exceeds {fewest} by less than {defaults.min_evicted_tokens}"
        return Decision(None, asked or 0, (f"{why}, so it is kept whole", *reasons))
    plan = EvictionPlan(policy, dict(defaults.policy_params.get(policy, {})), budget, sinks, recent)
    if mass is not None:
        least_evicted = defaults.min_evicted_tokens
        plan = replace(plan, min_retained_mass=mass, floor_tokens=floor, min_evicted_tokens=least_evicted)
    if adapter is None or policy not in ADAPTER_POLICIES:
        return Decision(plan, asked or 0, reasons)
    reasons = (adapter.note, *reasons) if adapter.note else reasons
    return Decision(replace(plan, adapter=adapter.id), asked or 0, reasons, adapter.alias)


def adapter_gone(plan: EvictionPlan) -> str:
    """Why `window` scores in place of a plan whose adapter was unloaded since the request came."""
    name = plan.adapter or "the adapter of the start"
    return f"{FALLBACK} in place of {plan.policy}, for {name} is not loaded any more"


def _policy(
    call: GenerateCall, defaults: ScoringDefaults, lookahead_objection: str
) -> tuple[str, float | None, tuple[str, ...]]:
    """What scores, the mass that is to be retained by its prediction, and why either is not what was asked for."""
    asked = call.directive or call.kv
    policy, mass = asked.policy or defaults.policy, asked.min_retained_mass
    if lookahead_objection and policy in ADAPTER_POLICIES:
        return FALLBACK, mass, (f"{FALLBACK} in place of {policy}, for {lookahead_objection}",)
    if mass is not None and policy in BLIND_POLICIES:
        return policy, None, (f"min_retained_mass has no say, for {policy} looks at nothing and predicts no mass",)
    return policy, mass, ()


def _protected(call: GenerateCall, defaults: ScoringDefaults) -> tuple[int, int]:
    """The sinks and the recent tokens that are always kept."""
    given = call.directive or Directive()
    return _given(given.sink_tokens, defaults.sink_tokens), _given(given.recent_tokens, defaults.recent_tokens)


def _asked_tokens(call: GenerateCall, prompt_tokens: int) -> tuple[int | None, tuple[str, ...]]:
    if call.directive:
        return call.directive.budget_tokens, call.directive.reasons
    hint = call.kv
    mass = (f"the request asked for {hint.min_retained_mass:g} of the mass",) if hint.min_retained_mass else ()
    if hint.budget_tokens:
        return hint.budget_tokens, (f"the request asked for {hint.budget_tokens} tokens", *mass)
    if hint.keep_ratio:
        tokens = max(1, int(hint.keep_ratio * prompt_tokens))
        return tokens, (f"the request asked for a ratio of {hint.keep_ratio:g}: {tokens} tokens", *mass)
    return None, mass


def _given(value: int | None, default: int) -> int:
    return default if value is None else value
