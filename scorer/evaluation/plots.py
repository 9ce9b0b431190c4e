"""Quality against budget, one panel for each family."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from scorer.evaluation.cells import budget_order
from scorer.evaluation.methods import FULL
from scorer.evaluation.tables import Row, label, methods_of

COLUMNS = 4
TITLES = {
    "nll": "answer NLL (nats per token; lower is better)",
    "nll_replayed": "answer NLL, first token after eviction too (nats per token; lower is better)",
    "kl": "KL from full KV (nats per token; lower is better)",
    "retained_evictable": "retained ground-truth mass, evictable tokens (higher is better)",
    "agreement": "agreement with full KV (higher is better)",
    "accuracy": "accuracy where full KV is right (higher is better)",
}
# 20 colours that stay apart, and as many dashes; a method has one of each
COLOURS = "tab20"
MARKS = "osD^v<>P*X"


def plot_metric(rows: Sequence[Row], metric: str, prompt_tokens: str, file: Path) -> bool:
    """Write a PNG of a metric over the relative budgets, or the absolute ones where there are more of these.

    Solid lines and marks are templated prompts, dashed lines and hollow marks raw ones. False, and nothing written,
    when there is nothing to show.
    """
    chosen = [row for row in rows if row["metric"] == metric and row["prompt_tokens"] == prompt_tokens]
    budgets = _budgets(chosen)
    chosen = [row for row in chosen if row["budget"] in budgets]
    families = sorted({row["family"] for row in chosen})
    if not families:
        return False
    high = -(-len(families) // COLUMNS)
    figure = Figure(figsize=(4 * min(COLUMNS, len(families)), 3 * high + 1.2), layout="constrained")
    panels = figure.subplots(high, min(COLUMNS, len(families)), squeeze=False).flat
    for panel, family in zip(panels, families, strict=False):
        _panel(panel, [row for row in chosen if row["family"] == family], budgets, methods_of(chosen))
        panel.set_title(family)
    for panel in list(panels)[len(families) :]:
        panel.set_axis_off()
    handles, names = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=6, fontsize="small")
    about = f"prompts of {prompt_tokens} tokens; solid templated, dashed and hollow raw"
    figure.suptitle(f"{TITLES.get(metric, metric)}, {about}")
    figure.savefig(file, dpi=110)
    return True


def _panel(panel: Axes, rows: Sequence[Row], budgets: Sequence[str], methods: Sequence[str]) -> None:
    for index, method in enumerate(methods):
        for templated in (True, False):
            found = {r["budget"]: r for r in rows if r["method"] == method and r["templated"] == templated}
            places = [i for i, budget in enumerate(budgets) if budget in found]
            means = [found[budgets[i]]["mean"] for i in places]
            panel.plot(
                places,
                means,
                linestyle="-" if templated else "--",
                fillstyle="full" if templated else "none",
                linewidth=2 if method in (FULL, "lookahead", "fused") else 1,
                label=label(method) if templated else None,
                color=colormaps[COLOURS](index % 20),
                marker=MARKS[index % len(MARKS)],
                markersize=4,
            )
    panel.set_xticks(range(len(budgets)), budgets)
    panel.grid(alpha=0.3)


def _budgets(rows: Sequence[Row]) -> list[str]:
    """Shares or numbers, of which there are more; the two have no common axis."""
    labels = sorted({row["budget"] for row in rows}, key=budget_order)
    shares = [label for label in labels if label.endswith("%")]
    return shares if 2 * len(shares) >= len(labels) else [label for label in labels if label not in shares]
