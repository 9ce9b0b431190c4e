"""The kinds of rows that look at a prompt; no kind sees another."""

from dataclasses import dataclass
from typing import Literal

import torch

from scorer.adapters.weights import AdapterWeights
from scorer.training.attend import Heads, attend
from scorer.training.frozen_model import FrozenModel, Prompt

KindName = Literal["lookahead", "window", "first"]


@dataclass(frozen=True)
class Kind:
    """R rows at consecutive positions. The window's are the prompt's own last tokens, the others come behind it."""

    name: KindName
    embeddings: torch.Tensor  # [R, hidden]
    start: int  # position of the first row

    @property
    def positions(self) -> torch.Tensor:
        return torch.arange(self.start, self.start + len(self.embeddings), device=self.embeddings.device)

    def attend(self, prompt: Prompt, layer: int, heads: Heads) -> tuple[torch.Tensor | None, torch.Tensor]:
        """The rows' output [R, Hq, D], and the mass of each prompt token, mean over rows, [Hq, T]."""
        if self.name == "window":
            keys, values = prompt.keys[layer], None if heads.values is None else prompt.values[layer]
        else:
            keys, values = heads.behind(prompt, layer)
        output, probabilities = attend(heads.queries, keys, values, heads.scale)
        return output, probabilities[..., : prompt.tokens].mean(dim=1)


def make_kinds(
    frozen: FrozenModel, prompt: Prompt, adapter: AdapterWeights | None, window: int, first_token: int | None
) -> list[Kind]:
    """The kinds asked for, lookahead rows first, where the LoRA acts. Raises ValueError for too long a window."""
    tokens, embed, kinds = prompt.tokens, frozen.embed, []
    if not 0 <= window <= tokens:
        raise ValueError(f"window: {window} rows of a prompt of {tokens} tokens")
    if adapter is not None:
        kinds.append(Kind("lookahead", adapter.embeddings.to(embed.weight.dtype), tokens))
    if window:
        kinds.append(Kind("window", embed(prompt.ids[tokens - window :]), tokens - window))
    if first_token is not None:
        kinds.append(Kind("first", embed(prompt.ids.new_tensor([first_token])), tokens))
    return kinds
