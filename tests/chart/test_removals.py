"""Each promise is kept by something in the templates: without it, a check says what is missing."""

import re
import shutil

import pytest

from tests.chart import checks
from tests.chart.rendering import CHART, render

# what is taken out of which template, and who has to notice
REMOVALS = {
    "startup probe of the runtime": ("runtime.yaml", r" {10}startupProbe:\n( {12}.*\n)+", checks.probes),
    "startup probe of the router": ("router.yaml", r" {10}startupProbe:\n( {12}.*\n)+", checks.probes),
    "startup probe of the scorer": ("_scorer.tpl", r" {2}startupProbe:\n( {4}.*\n)+", checks.probes),
    "network policies": ("networkpolicy.yaml", r"[\s\S]+", checks.network),
    "network policy that denies": (
        "networkpolicy.yaml",
        r"# nothing[\s\S]+?---\n",
        checks.network,
    ),
    "security of containers": ("runtime.yaml", r" {10}securityContext:\n {12}.*\n", checks.security),
    "security of the sidecar": ("_scorer.tpl", r" {2}securityContext:\n {4}.*\n", checks.security),
    "security of pods": ("_helpers.tpl", r"securityContext:\n.*\n", checks.security),
    "token that is not mounted": ("runtime.yaml", r" {6}automountServiceAccountToken:.*\n", checks.tokens),
    "grace period of the runtime": ("runtime.yaml", r" {6}terminationGracePeriodSeconds:.*\n", checks.grace),
    "grace period of the router": ("router.yaml", r" {6}terminationGracePeriodSeconds:.*\n", checks.grace),
    "label of pods": ("router.yaml", r'(?<=labels:\n)( {8}\{\{- include "lkv.labels".*\n)', checks.selectors),
    "condition on replicas": (
        "router.yaml",
        r" {2}\{\{- if not \$router.autoscaling.enabled \}\}\n.*\n.*\n",
        checks.replicas,
    ),
}


@pytest.mark.parametrize("what", REMOVALS)
def test_what_is_taken_away_is_missed(what, tmp_path):
    file, pattern, check = REMOVALS[what]
    chart = tmp_path / "lookaheadkv"
    shutil.copytree(CHART, chart)
    template = chart / "templates" / file
    text, removed = re.subn(pattern, "", template.read_text(), count=1)
    assert removed, f"{what} is not where this test looks for it"
    template.write_text(text)
    assert list(check(render(chart=chart)))
    assert not list(check(render()))
