"""95 % intervals by bootstrap over samples; the same for the same seed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import bootstrap

CONFIDENCE = 0.95
RESAMPLES = 2000

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Estimate:
    """A mean, or another figure of `n` samples, with its interval; both ends are the figure when n is 1."""

    mean: float
    lo: float
    hi: float
    n: int

    @property
    def excludes_zero(self) -> bool:
        return self.lo > 0 or self.hi < 0


def mean(values: Sequence[float], seed: int) -> Estimate:
    """Of values, at least one."""
    return _estimate([values], np.mean, seed)


def difference(values: Sequence[float], reference: Sequence[float], seed: int) -> Estimate:
    """Mean of the differences of pairs, value minus reference."""
    return mean([value - other for value, other in zip(values, reference, strict=True)], seed)


def closed(values: Sequence[float], worst: Sequence[float], best: Sequence[float], seed: int) -> Estimate:
    """The share of the way from `worst` to `best` that `values` go: 1 at best, below 0 beyond worst, 0 without a way.

    Samples are drawn with all three of their values, so that what they share cancels.
    """

    def share(value: Floats, worst: Floats, best: Floats, axis: int) -> Floats:
        start, way = np.mean(worst, axis=axis), np.mean(worst, axis=axis) - np.mean(best, axis=axis)
        went = np.asarray(start - np.mean(value, axis=axis))
        # a resample may have no way to go; it then goes nothing of it
        return np.divide(went, way, out=np.zeros_like(went), where=way != 0)

    return _estimate([values, worst, best], share, seed)


def _estimate(columns: Sequence[Sequence[float]], statistic: Callable[..., Any], seed: int) -> Estimate:
    data = tuple(np.asarray(column, dtype=np.float64) for column in columns)
    value = float(statistic(*data, axis=0))
    if len(data[0]) == 1:
        return Estimate(value, value, value, len(data[0]))
    drawn = bootstrap(
        data,
        statistic,
        n_resamples=RESAMPLES,
        confidence_level=CONFIDENCE,
        paired=True,
        vectorized=True,
        # the bias-corrected one fails where all samples are equal
        method="percentile",
        rng=np.random.default_rng(seed),
    )
    low, high = drawn.confidence_interval
    return Estimate(value, float(low), float(high), len(data[0]))
