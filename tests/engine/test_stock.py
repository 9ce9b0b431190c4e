"""With an adapter loaded, requests that do not ask for it get what SGLang without our plugin gives, to the token."""

from tests.engine.client import generate, generate_together, request
from tests.engine.conftest import ENGINE_ARGS
from tests.engine.reference import Eviction
from tests.engine.stock import stock_tokens

NEW_TOKENS = 24
STARTS = (250, 850)


def test_full_requests_get_the_tokens_of_stock_sglang_also_beside_lookahead_rows(runtime, model_path, text_ids):
    prompts = [text_ids[start : start + 350] for start in STARTS]
    expected = stock_tokens(model_path, ENGINE_ARGS, prompts, NEW_TOKENS)
    assert [generate(runtime, ids, NEW_TOKENS).tokens for ids in prompts] == expected
    # the same prompts again, in batches with adapted ones
    together = generate_together(
        runtime,
        [
            request(ids, NEW_TOKENS, plan)
            for ids in prompts
            for plan in (None, Eviction("lookahead", 64), Eviction("fused", 64))
        ],
    )
    assert [answer.tokens for answer in together[::3]] == expected
    assert {answer.complete.kv.policy for answer in together} == {"full", "lookahead", "fused"}
