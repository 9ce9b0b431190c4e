"""Quality against budget, one panel for each family and form."""

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

    False, and nothing written, when there are not two budgets to draw a line between.
    """
    chosen = [row for row in rows if row["metric"] == metric and row["prompt_tokens"] == prompt_tokens]
    budgets = _budgets(chosen)
    chosen = [row for row in chosen if row["budget"] in budgets]
    cells = sorted({(row["family"], not row["templated"]) for row in chosen})
    if len(budgets) < 2:
        return False
    high = -(-len(cells) // COLUMNS)
    figure = Figure(figsize=(4 * min(COLUMNS, len(cells)), 3 * high + 1.2), layout="constrained")
    panels = figure.subplots(high, min(COLUMNS, len(cells)), squeeze=False).flat
    for panel, (family, raw) in zip(panels, cells, strict=False):
        shown = [row for row in chosen if row["family"] == family and row["templated"] != raw]
        _panel(panel, shown, budgets, methods_of(chosen))
        panel.set_title(f"{family}, {'raw' if raw else 'templated'}")
    for panel in list(panels)[len(cells) :]:
        panel.set_axis_off()
    handles, names = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=6, fontsize="small")
    figure.suptitle(f"{TITLES.get(metric, metric)}, prompts of {prompt_tokens} tokens")
    figure.savefig(file, dpi=80)
    return True


def _panel(panel: Axes, rows: Sequence[Row], budgets: Sequence[str], methods: Sequence[str]) -> None:
    for index, method in enumerate(methods):
        found = {row["budget"]: row for row in rows if row["method"] == method}
        places = [i for i, budget in enumerate(budgets) if budget in found]
        emphasis = method in (FULL, "lookahead", "fused")
        panel.plot(
            places,
            [found[budgets[i]]["mean"] for i in places],
            linewidth=2.5 if emphasis else 0.8,
            zorder=3 if emphasis else 2,
            label=label(method),
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
