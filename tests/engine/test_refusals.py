"""An engine that the plugin cannot serve stays NOT_SERVING and says why."""

import grpc
import pytest

from protos.runtime.v1 import runtime_pb2
from tests.engine.conftest import running


@pytest.mark.parametrize(
    ("engine_args", "variables", "reason"),
    [
        ({"enable_mixed_chunk": True}, {}, "enable_mixed_chunk=True is not supported"),
        ({"speculative_algorithm": "NGRAM"}, {}, "speculative_algorithm='NGRAM' is not supported"),
        # SGLang itself only logs that it left a plugin out, and would serve on
        ({}, {"SGLANG_PLUGINS": "lookaheadkv_cpu"}, "hooks not applied: sglang.srt.managers.scheduler.Scheduler"),
    ],
    ids=["mixed-chunk", "speculative", "plugin-left-out"],
)
def test_engine_that_cannot_evict_safely_is_refused_with_a_sentence(
    model_path, tmp_path, engine_args, variables, reason
):
    with running(model_path, tmp_path, engine_args, variables) as runtime:
        failure = runtime.process.wait_for("engine did not start", 240)
        with pytest.raises(grpc.RpcError) as raised:
            runtime.runtime.GetModelInfo(runtime_pb2.GetModelInfoRequest())
    assert reason in failure["reason"]
    assert raised.value.code() == grpc.StatusCode.FAILED_PRECONDITION
    assert failure["reason"] in raised.value.details()
