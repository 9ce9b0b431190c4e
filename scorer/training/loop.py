"""The optimiser's steps. Everything random is a function of the seed and the step, so that a run can go on anywhere."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import torch

from scorer.adapters.config import AdapterConfig
from scorer.adapters.shapes import ModelShape
from scorer.adapters.weights import AdapterWeights
from scorer.training.fusion import FusionFit, components, evictable
from scorer.training.ground_truth import GroundTruth
from scorer.training.objectives import OBJECTIVES, Objective, Seen
from scorer.training.prepared import PreparedSamples
from scorer.training.rows_forward import LookaheadModel, by_kv_head
from scorer.training.settings import TrainingSettings


class Diverged(ArithmeticError):
    """Loss or gradient is not finite. The weights are those of the step before."""


@dataclass(frozen=True)
class StepMetrics:
    """One step, counted from 1; `grad_norm` is that before clipping."""

    step: int
    loss: float
    learning_rate: float
    grad_norm: float


@dataclass
class TrainingState:
    """All that changes during a run."""

    adapter: AdapterWeights
    optimiser: torch.optim.Optimizer
    fit: FusionFit
    step: int = 0
    metrics: list[StepMetrics] = field(default_factory=list)
    # what the caller measured on the way, as plain values
    validations: list[dict[str, Any]] = field(default_factory=list)

    @classmethod
    def of(cls, adapter: AdapterWeights) -> TrainingState:
        """At step 0, with a copy of `adapter`."""
        trainable = adapter.trainable()
        optimiser = torch.optim.AdamW(trainable.trained().values(), weight_decay=0.0)
        return cls(trainable, optimiser, FusionFit.start(trainable.fusion))


def new_adapter(model: LookaheadModel, config: AdapterConfig, seed: int) -> AdapterWeights:
    """Untrained, float32, on the model's device; the same for a seed on every device."""
    weight = model.frozen.embed.weight
    shape = ModelShape.from_config(model.frozen.config.to_dict())
    generator = torch.Generator().manual_seed(seed)
    return AdapterWeights.random(shape, config, weight.float().std().item(), generator).to(weight.device)


def train(
    model: LookaheadModel, samples: PreparedSamples, state: TrainingState, settings: TrainingSettings
) -> Iterator[StepMetrics]:
    """Takes the steps that `state` lacks, changing it, and yields after each.

    Raises Diverged, and ValueError without samples.
    """
    if not len(samples):
        raise ValueError("samples: there are none to train on")
    objective = OBJECTIVES[settings.objective](settings.sink_tokens, settings.recent_tokens)
    while state.step < settings.steps:
        rate = learning_rate(state.step, settings)
        for group in state.optimiser.param_groups:
            group["lr"] = rate
        loss, norm = _step(model, samples, state, settings, objective)
        state.step += 1
        state.metrics.append(StepMetrics(state.step, loss, rate, norm))
        yield state.metrics[-1]


def learning_rate(step: int, settings: TrainingSettings) -> float:
    """Of a step counted from 0: linear up to the peak, then a cosine that would be 0 one step after the last."""
    if step < settings.warmup_steps:
        return settings.learning_rate * (step + 1) / (settings.warmup_steps + 1)
    done = (step - settings.warmup_steps) / max(1, settings.steps - settings.warmup_steps)
    return settings.learning_rate * 0.5 * (1 + math.cos(math.pi * done))


def sample_indices(step: int, samples: int, settings: TrainingSettings) -> list[int]:
    """The samples of a step counted from 0: each epoch is another permutation, drawn from the seed."""
    first = step * settings.batch_samples
    places = [divmod(place, samples) for place in range(first, first + settings.batch_samples)]
    orders = {epoch: _order(epoch, samples, settings.seed) for epoch, _ in places}
    return [orders[epoch][at] for epoch, at in places]


def _order(epoch: int, samples: int, seed: int) -> list[int]:
    generator = torch.Generator().manual_seed((seed * 1_000_003 + epoch) % 2**63)
    order: list[int] = torch.randperm(samples, generator=generator).tolist()
    return order


def _step(
    model: LookaheadModel,
    samples: PreparedSamples,
    state: TrainingState,
    settings: TrainingSettings,
    objective: Objective,
) -> tuple[float, float]:
    """Mean loss of the batch, and norm of its gradient."""
    state.optimiser.zero_grad()
    indices = sample_indices(state.step, len(samples), settings)
    masses = model.lookahead_masses([samples.prompt(index) for index in indices], state.adapter)
    losses = [
        _loss(samples, index, mass, state, settings, objective) for index, mass in zip(indices, masses, strict=True)
    ]
    loss = torch.stack(losses).mean()
    loss.backward()
    parameters = list(state.adapter.trained().values())
    norm = torch.nn.utils.clip_grad_norm_(parameters, settings.clip_norm).item()
    if not math.isfinite(loss.item()) or not math.isfinite(norm):
        raise Diverged(f"step {state.step + 1}: loss {loss.item()}, gradient norm {norm}; try a lower learning_rate")
    state.optimiser.step()
    state.adapter = state.adapter.with_fusion(state.fit.weights(state.adapter.fusion))
    return loss.item(), norm


def _loss(
    samples: PreparedSamples,
    index: int,
    mass: torch.Tensor,
    state: TrainingState,
    settings: TrainingSettings,
    objective: Objective,
) -> torch.Tensor:
    """Of one sample, whose say in the fusion weights is noted on the way."""
    truth = samples.truth(index, settings.reference_answers)
    mixed = components(mass, samples.votes(index), state.adapter.config.fusion)
    state.fit = state.fit.with_sample(mixed, _target(truth, state.adapter), state.adapter.fusion)
    return objective.loss(Seen(mass, mixed, state.adapter.fusion), truth)


def _target(truth: GroundTruth, adapter: AdapterWeights) -> torch.Tensor:
    """What a KV head can lose, [L, Hkv, E]."""
    wanted = by_kv_head(truth.max, adapter.fusion.shape[1])
    return wanted[..., evictable(wanted.shape[-1], adapter.config.fusion)]
