"""An adaptive budget: which budgets an engine may choose from, which one it takes, and why."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from scorer.adaptive import budget_grid, first_that_holds, whole_pages
from services.runtime.eviction import EvictionPlan


@dataclass(frozen=True)
class Choice:
    """`tokens` is None where the prompt is to stay whole. `why` says what decided, the mass or the cap."""

    tokens: int | None
    retained_mass: float
    why: str


def possible_budgets(plan: EvictionPlan, prompt_tokens: int, page_tokens: int = 1) -> tuple[int, ...]:
    """What a prompt of this length may be cut down to, in whole pages, ascending; empty when that evicts too little.

    Without a mass the plan's budget is the only one.
    """
    cap = whole_pages(plan.budget_tokens, page_tokens)
    most = prompt_tokens - max(plan.min_evicted_tokens, page_tokens)
    if plan.min_retained_mass is None:
        return (cap,) if cap + page_tokens <= prompt_tokens else ()
    # a cap that evicts too little leaves the whole prompt as the last choice, which is not among these
    most = (
        cap if plan.budget_tokens <= most and cap + page_tokens <= prompt_tokens else most // page_tokens * page_tokens
    )
    least = whole_pages(max(plan.floor_tokens, plan.sink_tokens + plan.recent_tokens, 1), page_tokens)
    return budget_grid(least, most, page_tokens) if least <= most else ()


def choose_budget(plan: EvictionPlan, prompt_tokens: int, budgets: Sequence[int], masses: Sequence[float]) -> Choice:
    """The smallest of `budgets` whose predicted retained mass, in `masses`, reaches the plan's; else the cap.

    Raises ValueError when a mass is not finite.
    """
    asked = plan.min_retained_mass or 0.0
    if not all(map(math.isfinite, masses)):
        raise ValueError("the policy predicts a mass that is not finite")
    index = first_that_holds(masses, asked)
    tokens, mass = (budgets[-1], masses[-1]) if index is None else (budgets[index], masses[index])
    if index is None:
        return _cap(plan, prompt_tokens, tokens, mass)
    reached = f"retained mass {_shown(mass)} reached {asked:g} with {tokens} tokens"
    cap = min(plan.budget_tokens, prompt_tokens)
    return Choice(tokens, mass, f"{reached}, below the cap of {cap}" if tokens < cap else f"{reached}, the cap")


def _cap(plan: EvictionPlan, prompt_tokens: int, tokens: int, mass: float) -> Choice:
    asked = f"{plan.min_retained_mass:g} asked for"
    if tokens >= plan.budget_tokens:
        return Choice(tokens, mass, f"the cap of {tokens} tokens holds {_shown(mass)} of the mass, below the {asked}")
    why = f"{tokens} tokens hold {_shown(mass)} of the mass, below the {asked}"
    return Choice(None, mass, f"{why}, so the prompt of {prompt_tokens} tokens is kept whole")


def _shown(mass: float) -> str:
    # cut off, so that what is below a threshold is not shown as reaching it
    return f"{math.floor(mass * 1000) / 1000:.3f}"
