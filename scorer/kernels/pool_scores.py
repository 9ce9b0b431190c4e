"""Smoothing of scores over neighbouring tokens."""

import torch
import torch.nn.functional as F


def pool_scores(scores: torch.Tensor, width: int) -> torch.Tensor:
    """Mean over `width` (odd) neighbouring tokens.

    scores [L, Hkv, T] float32 -> the same shape. The window is cut at both ends, so every score is a mean over real
    tokens.
    """
    return F.avg_pool1d(scores, width, stride=1, padding=width // 2, count_include_pad=False)
