"""What a PromQL expression names, as far as metrics and labels go."""

import re

from tests.integration.test_observability_page import PARTS, PROCESSES, rows

# what Prometheus adds to everything that it scrapes in Kubernetes
TARGET_LABELS = frozenset({"namespace", "pod", "instance", "job"})
SELECTOR = re.compile(r"\b(lookaheadkv_\w+)(?:\{([^}]*)\})?")
MATCHER = re.compile(r"(\w+)\s*(?:=~|!~|!=|=)\s*\"")
GROUPING = re.compile(r"\b(?:by|on|without|ignoring|group_left|group_right)\s*\(([^)]*)\)")


def known_metrics() -> dict[str, set[str]]:
    """The labels of each series that docs/observability.md lists, parts of histograms by their own names."""
    found: dict[str, set[str]] = {}
    for process in PROCESSES:
        for name, (kind, labels, _) in rows(process).items():
            names = set(re.findall(r"`(\w+)`", labels))
            if kind == "histogram":
                found |= {f"{name}_{part}": names | ({"le"} if part == "bucket" else set()) for part in PARTS}
            else:
                found[name] = names
    return found


def objections(expression: str) -> list[str]:
    """The metrics and labels of an expression that do not exist."""
    known, wrong, usable = known_metrics(), [], set(TARGET_LABELS)
    selectors = SELECTOR.findall(expression)
    for name, matchers in selectors:
        labels = known.get(name)
        if labels is None:
            wrong.append(f"there is no metric {name}")
            continue
        usable |= labels
        wrong += [
            f"{name} has no label {one}" for one in MATCHER.findall(matchers) if one not in labels | TARGET_LABELS
        ]
    grouped = {label for labels in GROUPING.findall(expression) for label in re.findall(r"\w+", labels)}
    wrong += [f"nothing in it has the label {label}" for label in sorted(grouped - usable)]
    return wrong if selectors else ["it names no metric of ours"]
