"""The target model's own responses: greedy, several prompts at a time."""

from collections.abc import Callable, Sequence

import torch

from scorer.training.frozen_model import FrozenModel


def greedy_responses(
    frozen: FrozenModel,
    prompts: Sequence[torch.Tensor],
    max_tokens: int,
    batch: int = 8,
    on_done: Callable[[int], None] = lambda count: None,
) -> list[torch.Tensor]:
    """The response's ids [n_out] for each prompt [T], 1 to `max_tokens` of them, without the token that ends it.

    Only a response of nothing else keeps that token. `on_done` hears how many prompts were just answered.
    """
    # neighbours in length share a batch, so that little is padding
    order = sorted(range(len(prompts)), key=lambda i: len(prompts[i]))
    responses: dict[int, torch.Tensor] = {}
    for start in range(0, len(order), batch):
        chosen = order[start : start + batch]
        answered = _answer(frozen, [prompts[i] for i in chosen], max_tokens)
        responses |= dict(zip(chosen, answered, strict=True))
        on_done(len(chosen))
    return [responses[i] for i in range(len(prompts))]


@torch.no_grad()
def _answer(frozen: FrozenModel, prompts: Sequence[torch.Tensor], max_tokens: int) -> list[torch.Tensor]:
    # not `generate`, which applies the repetition penalty and the like of the model's generation_config.json
    ids, mask = _left_padded(prompts)
    ends = torch.tensor(end_tokens(frozen.hf_model), dtype=ids.dtype, device=ids.device)
    finished = torch.zeros(len(prompts), dtype=torch.bool, device=ids.device)
    positions = (mask.cumsum(dim=1) - 1).clamp_min(0)
    cache: object = None
    made: list[torch.Tensor] = []
    while len(made) < max_tokens and not finished.all():
        out = frozen.hf_model(
            ids, attention_mask=mask, position_ids=positions, past_key_values=cache, use_cache=True, logits_to_keep=1
        )
        ids, cache = out.logits[:, -1].argmax(dim=-1, keepdim=True), out.past_key_values
        made.append(ids)
        finished |= torch.isin(ids[:, 0], ends)
        mask = torch.cat([mask, mask.new_ones(len(prompts), 1)], dim=1)
        positions = positions[:, -1:] + 1
    return [_until_end(row, ends) for row in torch.cat(made, dim=1)]


def end_tokens(hf_model: object) -> list[int]:
    """The ids that end a response of the model; none for a model that names none."""
    named = getattr(getattr(hf_model, "generation_config", None), "eos_token_id", None)
    return [] if named is None else [named] if isinstance(named, int) else list(named)


def _left_padded(prompts: Sequence[torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
    """Ids and attention mask, each [B, longest]."""
    longest = max(map(len, prompts))
    ids = torch.stack([torch.cat([prompt.new_zeros(longest - len(prompt)), prompt]) for prompt in prompts])
    lengths = torch.tensor([len(prompt) for prompt in prompts], device=ids.device)
    columns = torch.arange(longest, device=ids.device)
    return ids, (columns >= longest - lengths[:, None]).long()


def _until_end(row: torch.Tensor, ends: torch.Tensor) -> torch.Tensor:
    at = torch.isin(row, ends).nonzero()
    return row[: max(1, int(at[0]))] if len(at) else row
