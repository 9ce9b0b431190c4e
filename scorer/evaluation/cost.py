"""What each method adds to a prefill, step by step, on one prompt."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from statistics import median

import torch
import torch.nn.functional as F

from scorer.adapters.weights import AdapterWeights
from scorer.evaluation.caches import Caches, kept_of, whole
from scorer.evaluation.decode import greedy
from scorer.evaluation.forward import prefill
from scorer.evaluation.methods.base import Protected, max_pooled
from scorer.evaluation.methods.laq import WINDOW_TOKENS, DraftQueries, query_mass
from scorer.evaluation.methods.speckv import EXIT_AFTER
from scorer.evaluation.side_pass import Pool, RowGroup, run_side_pass
from scorer.policies.base import Observation, Policy
from scorer.policies.fused import FusedPolicy
from scorer.policies.lookahead import LookaheadPolicy
from scorer.policies.window import WindowPolicy
from scorer.training.frozen_model import FrozenModel, Prompt

PREFILL = "prefill"


@dataclass(frozen=True)
class Costing:
    """A prefilled prompt in a pool, and the methods as they would be added to its prefill.

    Each method is a function that does all of its work once: rows, scores, drafts, selection, compaction.
    """

    frozen: FrozenModel
    adapter: AdapterWeights
    prompt: Prompt
    pool: Pool
    first_token: torch.Tensor
    protected: Protected
    budget_tokens: int

    def policy(self, policy: Policy) -> torch.Tensor:
        """One of our policies, as serving runs it; returns what is kept."""
        names, groups = self._groups(policy)
        masses = run_side_pass(self.frozen, self.pool, groups, self.adapter)
        tokens = self.prompt.tokens
        # window rows are the end of the prompt themselves; serving gets their mass on themselves from the pass
        seen = {name: F.pad(mass, (0, tokens - mass.shape[-1])) for name, mass in zip(names, masses, strict=True)}
        observation = Observation(
            layers=len(self.prompt.keys),
            kv_heads=self.prompt.keys[0].shape[1],
            prompt_tokens=tokens,
            device=self.prompt.ids.device,
            fusion_weights=self.adapter.fusion,
            **seen,
        )
        return self._evict(policy.score(observation))

    def laq(self, draft_tokens: int) -> torch.Tensor:
        """LAQ: the window's eviction, a draft of so many steps behind it, and their queries on the whole prompt."""
        kept = self.policy(WindowPolicy())
        queries, caches = DraftQueries(), Caches([kept_of(self.prompt, kept)], room=draft_tokens)
        self._draft(caches, draft_tokens, queries)
        mass = query_mass(self.prompt, queries.of(0, draft_tokens), queries.scale)
        # the window's queries were computed in the first pass; a new one is not charged for
        return self._evict(max_pooled(draft_tokens * mass + WINDOW_TOKENS * mass))

    def speckv_self(self, draft_tokens: int) -> torch.Tensor:
        """SpecKV-like, self-drafted: a draft by the lower layers, and its rows beside the window's in the target."""
        layers = max(1, round(len(self.frozen.layers) * EXIT_AFTER))
        queries = DraftQueries()
        self._draft(Caches([whole(self.prompt, layers)], room=draft_tokens), draft_tokens, queries)
        before = self.prompt.tokens - WindowPolicy().window_tokens
        ids = torch.cat([self.prompt.ids[before:], self.first_token.expand(draft_tokens)])
        (mass,) = run_side_pass(self.frozen, self.pool, [RowGroup(self.frozen.embed(ids), before, before)])
        return self._evict(F.pad(max_pooled(mass), (0, self.prompt.tokens - before), value=2.0))

    def _draft(self, caches: Caches, tokens: int, queries: DraftQueries) -> None:
        position = self.first_token.new_tensor([self.prompt.tokens])
        greedy(self.frozen, caches, self.first_token[None], position, tokens + 1, (), queries.listen)

    def _groups(self, policy: Policy) -> tuple[list[str], list[RowGroup]]:
        tokens, ids, embed, rows = self.prompt.tokens, self.prompt.ids, self.frozen.embed, policy.rows
        groups = {}
        if rows.lookahead:
            learned = self.adapter.embeddings.to(embed.weight.dtype)
            groups["lookahead_mass"] = RowGroup(learned, tokens, tokens, adapted=True)
        if rows.window:
            before = tokens - rows.window
            groups["window_mass"] = RowGroup(embed(ids[before:]), before, before)
        if rows.first_token:
            groups["first_token_mass"] = RowGroup(embed(self.first_token[None]), tokens, tokens)
        return list(groups), list(groups.values())

    def _evict(self, scores: torch.Tensor) -> torch.Tensor:
        kept = self.protected.select(scores, self.budget_tokens)
        self.pool.compact(kept)
        return kept


@dataclass(frozen=True)
class Cost:
    """Medians at one prompt length, in milliseconds."""

    prompt_tokens: int
    method: str
    prefill_ms: float
    added_ms: float
    ratio_to_prefill: float
    ratio_to_lookahead: float


@torch.no_grad()
def costs(
    frozen: FrozenModel,
    adapter: AdapterWeights,
    ids: torch.Tensor,
    budget_ratio: float,
    draft_tokens: Sequence[int],
    repeats: int,
) -> Iterator[Cost]:
    """Of every method on one prompt [T]. Methods take turns, so that a busy machine slows them alike."""
    prefill_ms = median(_timed(lambda: prefill(frozen, ids)) for _ in range(repeats))
    prompt, logits = prefill(frozen, ids)
    budget = max(round(budget_ratio * len(ids)), Protected().tokens)
    costing = Costing(frozen, adapter, prompt, Pool.of(prompt), logits.argmax(), Protected(), budget)
    methods = _methods(costing, draft_tokens)
    for work in methods.values():
        # memory and threads are there, and weights are read, before anything counts
        work()
    times: dict[str, list[float]] = {name: [] for name in methods}
    for _ in range(repeats):
        for name, work in methods.items():
            times[name].append(_timed(work))
    found = {name: median(each) for name, each in times.items()}
    for name, added in found.items():
        yield Cost(len(ids), name, prefill_ms, added, added / prefill_ms, added / found["lookahead"])


def _methods(costing: Costing, draft_tokens: Sequence[int]) -> Mapping[str, Callable[[], object]]:
    fused = FusedPolicy(**costing.adapter.config.fusion.model_dump())
    methods: dict[str, Callable[[], object]] = {
        "lookahead": lambda: costing.policy(LookaheadPolicy()),
        "fused": lambda: costing.policy(fused),
        "window": lambda: costing.policy(WindowPolicy()),
    }
    methods |= {f"laq, draft of {count}": partial(costing.laq, count) for count in draft_tokens}
    most = max(draft_tokens)
    return methods | {f"speckv_self, draft of {most}": partial(costing.speckv_self, most)}


def _timed(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return 1000 * (time.perf_counter() - start)
