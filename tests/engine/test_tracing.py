"""Spans of what the plugin does inside SGLang's scheduler, with the moments at which it did it."""

from tests.collector import running_collector
from tests.engine.client import generate
from tests.engine.conftest import running
from tests.engine.reference import Eviction

STAGES = ("queue", "prefill", "score", "compact")


def test_the_plugin_s_work_is_part_of_the_runtime_s_trace(model_path, text_ids, tmp_path):
    with running_collector() as (collector, endpoint):
        variables = {"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, "OTEL_BSP_SCHEDULE_DELAY": "50"}
        with running(model_path, tmp_path, {}, variables) as runtime:
            # in two chunks, of which only the last one is followed by our work
            complete = generate(runtime.wait_ready(), text_ids[:600], 8, Eviction("fused", 128)).complete
            spans = {span.name: span for span in collector.trace(complete.request_id, 5)}
    request, stages = spans[next(name for name in spans if name not in STAGES)], [spans[name] for name in STAGES]
    assert {stage.parent_id for stage in stages} == {request.span_id}
    times = (complete.kv.queue_time, complete.kv.prefill_time, complete.kv.scoring_time, complete.kv.compaction_time)
    for stage, told in zip(stages, times, strict=True):
        assert request.began <= stage.began <= stage.ended <= request.ended, stage.name
        assert abs(stage.ended - stage.began - told.ToNanoseconds() / 1e9) < 1e-5, stage.name
    queue, prefill, score, compact = stages
    # two processes tell of the prefill and of what is behind it, by clocks that differ a little
    assert queue.ended <= prefill.began < score.began < score.ended <= compact.began
    assert request.attributes["lookaheadkv.adapter.name"] == score.attributes["lookaheadkv.adapter.name"]
    assert compact.attributes["lookaheadkv.kv.kept_tokens"] == 128
