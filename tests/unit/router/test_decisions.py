"""What the runtime is told of a decision."""

import pytest

from protos.generation.v1 import generation_pb2
from router.budgets import kv_budget, load_rules
from router.budgets.limits import Limits
from router.decisions import Placed, budget_request, forwarded_request
from services.shared.generation import parse_generate


@pytest.mark.parametrize(
    ("named", "told"), [(("*",), []), (("canary", "*"), []), (("canary",), ["default", "canary"]), ((), ["default"])]
)
def test_runtime_is_told_which_aliases_may_share_the_requests_of_a_tenant(named, told):
    request = generation_pb2.GenerateRequest(token_ids=generation_pb2.TokenIds(ids=[1, 2, 3]))
    call = parse_generate(request)
    asked = budget_request(call.kv, call.slo, Limits(adapter_aliases=named), 3, 1)
    placed = Placed("acme", asked, kv_budget(asked, load_rules({})), generation=1)
    assert forwarded_request(request, call, [1, 2, 3], placed).directive.shared_aliases == told
