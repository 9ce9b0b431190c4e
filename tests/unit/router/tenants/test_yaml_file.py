"""All policies as YAML: what is read, what is refused and where, and that nothing is lost on the way."""

import pytest
from hypothesis import given, settings

from router.budgets.limits import Priority
from router.tenants.policy import TenantPolicy
from router.tenants.yaml_file import PolicyFileError, parse_policies, read_policies, write_policies
from tests.unit.router.tenants.policies import policies

GOOD = """
cluster:
  limits: {min_budget_tokens: 128, ttft_seconds: 2, priority: interactive, on_conflict: reject}
tenants:
  acme:
    limits:
      max_budget_tokens: 2048
      length_buckets: [{max_prompt_tokens: 1000, keep_ratio: 1.0}, {max_prompt_tokens: 4000, budget_tokens: 900}]
      adapter_aliases: ["*"]
    model_rules:
      - {model: "llama*", limits: {weight: 2}}
  empty: {}
"""


def test_a_file_has_the_names_of_the_api():
    found = parse_policies(GOOD)
    assert list(found) == ["cluster", "acme", "empty"]
    assert found["cluster"].limits.priority is Priority.INTERACTIVE
    assert [bucket.budget_tokens for bucket in found["acme"].limits.length_buckets or ()] == [None, 900]
    assert found["empty"] == TenantPolicy()
    assert parse_policies("") == {}


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("tenants: {acme: {limits: {max_tokens: 5}}}", "tenants.acme.limits.max_tokens: "),
        ("clustr: {}", "clustr: "),
        ("tenants: {acme: {limits: {weight: 1, weight: 2}}}", "'weight' is there twice"),
        ("tenants:\n  acme: {}\n  acme: {}", "'acme' is there twice"),
        ('tenants: {acme: {limits: {max_budget_tokens: "5"}}}', "tenants.acme.limits.max_budget_tokens: '5'"),
        ("tenants: {acme: {limits: {max_budget_tokens: yes}}}", "tenants.acme.limits.max_budget_tokens: True"),
        ("tenants: {acme: {limits: {priority: 3}}}", "known: bulk, default, interactive"),
        ("tenants: {acme: {limits: {weight: .nan}}}", "tenants.acme.limits.weight"),
        ("tenants: {a b: {}}", "tenants.a b"),
        ("tenants: {cluster: {}}", "tenants.cluster: is no tenant"),
        ("cluster: &a {}\ntenants: {acme: *a}", "an alias, which is not used here"),
        ("cluster: !!python/object:os.system {}", "is not such YAML"),
        ("cluster: {", "is not such YAML"),
        ("- 1", "file: "),
        ("tenants: {acme: {limits: {min_budget_tokens: 9, max_budget_tokens: 8}}}", "acme.limits.min_budget_tokens: 9"),
        (
            "cluster: {limits: {min_budget_tokens: 99}}\ntenants: {acme: {limits: {max_budget_tokens: 98}}}",
            "tenants.acme.limits.max_budget_tokens: min_budget_tokens 99 of cluster/budgetPolicy is above",
        ),
    ],
)
def test_what_is_wrong_is_named_with_its_path(text, sentence):
    with pytest.raises(PolicyFileError) as refused:
        parse_policies(text)
    assert sentence in str(refused.value)


def test_a_file_that_is_not_there_is_a_sentence(tmp_path):
    with pytest.raises(PolicyFileError, match="No such file"):
        read_policies(tmp_path / "policies.yaml")


@settings(max_examples=60, deadline=None)
@given(policies())
def test_what_is_written_is_read_again(found):
    assert parse_policies(write_policies(found)) == found
