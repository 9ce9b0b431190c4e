"""An engine that the plugin cannot serve stays NOT_SERVING and says why."""

import grpc
import pytest

from protos.runtime.v1 import runtime_pb2
from tests.engine.conftest import running


@pytest.mark.parametrize(
    ("engine_args", "reason"),
    [
        ({"enable_mixed_chunk": True}, "enable_mixed_chunk=True is not supported"),
        ({"speculative_algorithm": "NGRAM"}, "speculative_algorithm='NGRAM' is not supported"),
    ],
    ids=["mixed-chunk", "speculative"],
)
def test_unsupported_setting_is_refused_at_start_with_a_sentence(model_path, tmp_path, engine_args, reason):
    with running(model_path, tmp_path, engine_args, {}) as runtime:
        failure = runtime.process.wait_for("engine did not start", 240)
        with pytest.raises(grpc.RpcError) as raised:
            runtime.runtime.GetModelInfo(runtime_pb2.GetModelInfoRequest())
    assert reason in failure["reason"]
    assert raised.value.code() == grpc.StatusCode.FAILED_PRECONDITION
    assert failure["reason"] in raised.value.details()
