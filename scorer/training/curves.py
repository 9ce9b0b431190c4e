"""A run as a picture: loss, and what lookahead rows and the fused votes retain of what can be retained."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from scorer.training.loop import StepMetrics
from scorer.training.objectives import OBJECTIVES
from scorer.training.settings import TrainingSettings

# steps that a point of the smoothed loss is the mean of
SMOOTHED_STEPS = 10
MARKS = {"oracle": "k--", "fused": "o-", "lookahead": "s-", "window": "^-"}


def plot_curves(
    steps: Sequence[StepMetrics],
    validations: Sequence[Mapping[str, Any]],
    settings: TrainingSettings,
    file: Path,
) -> None:
    """Write a PNG with the loss by step and, for each budget, the retained mass of each validation."""
    figure = Figure(figsize=(4 * (1 + len(settings.budget_ratios)), 3.4), layout="constrained")
    loss, *panels = figure.subplots(1, 1 + len(settings.budget_ratios), squeeze=False).flat
    _loss(loss, steps)
    for panel, ratio in zip(panels, settings.budget_ratios, strict=True):
        _retained(panel, validations, OBJECTIVES[settings.objective].reads, ratio)
    figure.suptitle(f"{settings.objective}, {len(steps)} steps of {settings.batch_samples}, seed {settings.seed}")
    figure.savefig(file, dpi=110)


def _loss(panel: Axes, steps: Sequence[StepMetrics]) -> None:
    losses = [each.loss for each in steps]
    panel.plot([each.step for each in steps], losses, alpha=0.3, color="tab:blue", label="a step")
    smooth = [sum(part) / len(part) for part in _windows(losses)]
    panel.plot([each.step for each in steps], smooth, color="tab:blue", label=f"mean of {SMOOTHED_STEPS}")
    panel.set(title="loss", xlabel="step", ylabel="nats")
    panel.legend()


def _windows(losses: Sequence[float]) -> Iterator[Sequence[float]]:
    for end in range(1, len(losses) + 1):
        yield losses[max(0, end - SMOOTHED_STEPS) : end]


def _retained(panel: Axes, validations: Sequence[Mapping[str, Any]], of: str, ratio: float) -> None:
    for scores, mark in MARKS.items():
        points = [
            (validation["step"], row["retained"])
            for validation in validations
            for row in validation["rows"]
            if (row["of"], row["scores"], row["budget_ratio"]) == (of, scores, ratio)
        ]
        if points:
            panel.plot(*zip(*points, strict=True), mark, label=scores, markersize=4)
    panel.set(title=f"retained {of} mass at {ratio:.0%}", xlabel="step")
    if panel.lines:
        panel.legend()
