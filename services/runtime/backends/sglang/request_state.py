"""What the plugin remembers of a request, from the end of its prefill to its end."""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from services.runtime.eviction import EvictionPlan

if TYPE_CHECKING:
    import torch

    from services.runtime.backends.sglang.report import PendingReport

# the key of our parameters in `sampling_params.custom_params`, and of our report in `meta_info`
PARAMS_KEY = "lookaheadkv"
_ATTRIBUTE = "_lookaheadkv"


@dataclass
class RequestState:
    """One request under an eviction plan.

    `settled`: the end of this prefill has been dealt with. `delta_tokens`: true length less the slots held; RoPE
    positions add it. `kept` [L, Hkv, K] int32 on the host: the choice, made once, so that a retraction cannot change
    it. `replay`: tokens generated before a retraction whose K/V are not back in the pool yet. `pending`: a report whose
    device work may still be running. `first_token` [1] on the device: sampled at the end of this prefill, until scored.
    `replaced`: why the plan is not the one that the request came with.
    """

    plan: EvictionPlan
    settled: bool = False
    delta_tokens: int = 0
    kept: torch.Tensor | None = None
    replay: array[int] | None = None
    pending: PendingReport | None = None
    first_token: torch.Tensor | None = None
    replaced: str = ""


def state_of(req: Any) -> RequestState | None:
    """The state of an SGLang request, made when its plan is first seen; None for one without a plan."""
    state: RequestState | None = getattr(req, _ATTRIBUTE, None)
    if state is None:
        params = (req.sampling_params.custom_params or {}).get(PARAMS_KEY)
        if params is not None:
            state = RequestState(EvictionPlan.from_params(params))
            setattr(req, _ATTRIBUTE, state)
    return state


def delta_tokens(req: Any) -> int:
    """How far the request's true length is ahead of the slots it holds."""
    state: RequestState | None = getattr(req, _ATTRIBUTE, None)
    return state.delta_tokens if state else 0


def put_back(req: Any) -> None:
    """After a retraction: the request holds no slots any more, and its prompt may enter the prefix cache again."""
    state: RequestState | None = getattr(req, _ATTRIBUTE, None)
    if state is not None and state.kept is not None:
        state.settled = False
        state.delta_tokens = 0
        req.skip_radix_cache_insert = False


def set_answer_aside(req: Any) -> None:
    """Before a compacted and then retracted request is prefilled again: leave only its prompt to prefill.

    SGLang would prefill prompt and answer with full attention; the answer's K/V would then differ from those it was
    generated with, and so would the text. The evictor replays the answer over the compacted prompt instead.
    """
    state: RequestState | None = getattr(req, _ATTRIBUTE, None)
    if state is not None and state.kept is not None and not state.settled and req.output_ids:
        state.replay = req.output_ids
        req.output_ids = array("q")
        # SGLang keeps prompt and answer in one array and only ever appends to it
        req.full_untruncated_fill_ids = array("q")
