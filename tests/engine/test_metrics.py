"""SGLang's metrics and ours come from one process, which neither takes from the other."""

import re

from tests.engine.client import generate
from tests.engine.reference import Eviction
from tests.scraping import scrape

# what autoscalers look for; the last one is counted in the runtime's own process, the others in SGLang's
SGLANG = ("sglang:num_queue_reqs", "sglang:num_running_reqs", "sglang:token_usage", "sglang:prompt_tokens_total")


def test_one_scrape_has_our_series_and_sglang_s_each_once(runtime, text_ids):
    complete = generate(runtime, text_ids[:600], 4, Eviction("fused", 128)).complete
    text = scrape(runtime.process)
    names = re.findall(r"^# TYPE (\S+)", text, re.MULTILINE)
    assert sorted(names) == sorted(set(names))
    assert {*SGLANG, "lookaheadkv_requests_total", "lookaheadkv_kv_used_ratio"} < set(names)
    scored = f'adapter="{complete.kv.adapter}",alias="default",policy="fused",version="{complete.kv.adapter_version}"'
    (scoring,) = re.findall(rf"^lookaheadkv_scoring_seconds_count{{{re.escape(scored)}}} (\S+)", text, re.MULTILINE)
    assert float(scoring) >= 1
    # they come by SGLang's own metrics
    assert complete.kv.prefill_time.ToNanoseconds() > 0
    assert complete.kv.queue_time.ToNanoseconds() > 0
