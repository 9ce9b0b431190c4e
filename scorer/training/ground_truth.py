"""What the adapter learns to predict: the attention of the response on its prompt, teacher-forced."""

from dataclasses import dataclass

import torch

from scorer.training.attend import Heads, attend
from scorer.training.frozen_model import FrozenModel, Prompt
from scorer.training.layers import run_layers

# so many rows' probabilities exist at a time: 32 heads of 16K tokens are 128 MiB
BLOCK_ROWS = 64


@dataclass(frozen=True)
class GroundTruth:
    """s_GT over the response's rows, [L, Hq, T] float32 (method.md section 1; design.md section 7 for the maximum)."""

    mean: torch.Tensor
    max: torch.Tensor


@torch.no_grad()
def ground_truth(frozen: FrozenModel, prompt: Prompt, response_ids: torch.Tensor) -> GroundTruth:
    """Of the response with ids [n_out] over the prefilled prompt. Raises ValueError when it is empty."""
    if not len(response_ids):
        raise ValueError("response_ids: is empty; no row looks at the prompt")
    layers: list[GroundTruth] = []

    def attend_and_reduce(layer: int, heads: Heads) -> torch.Tensor | None:
        reduced, output = _layer(prompt, layer, heads)
        layers.append(reduced)
        return output

    positions = torch.arange(prompt.tokens, prompt.tokens + len(response_ids), device=response_ids.device)
    run_layers(frozen, frozen.embed(response_ids), positions, attend_and_reduce)
    return GroundTruth(torch.stack([layer.mean for layer in layers]), torch.stack([layer.max for layer in layers]))


def _layer(prompt: Prompt, layer: int, heads: Heads) -> tuple[GroundTruth, torch.Tensor | None]:
    """One layer's reductions [Hq, T], and its output [n_out, Hq, D] unless it is the last."""
    keys, values = heads.behind(prompt, layer)
    rows, query_heads = heads.queries.shape[:2]
    total = torch.zeros(query_heads, prompt.tokens, device=keys.device)
    largest, outputs = torch.zeros_like(total), []
    for start in range(0, rows, BLOCK_ROWS):
        stop = min(start + BLOCK_ROWS, rows)
        # a row sees nothing behind its block
        support = slice(prompt.tokens + stop)
        block_values = None if values is None else values[support]
        output, probabilities = attend(heads.queries[start:stop], keys[support], block_values, heads.scale)
        on_prompt = probabilities[..., : prompt.tokens]
        total += on_prompt.sum(dim=1)
        largest = torch.maximum(largest, on_prompt.amax(dim=1))
        outputs += [] if output is None else [output]
    return GroundTruth(total / rows, largest), torch.cat(outputs) if outputs else None
