"""An engine that the plugin cannot serve stays NOT_SERVING and says why."""

import grpc
import pytest

from protos.runtime.v1 import runtime_pb2
from tests.engine.conftest import running


def test_mixed_chunk_is_refused_at_start_with_a_sentence(model_path, tmp_path):
    with running(model_path, tmp_path, {"enable_mixed_chunk": True}, {}) as runtime:
        failure = runtime.process.wait_for("engine did not start", 240)
        with pytest.raises(grpc.RpcError) as raised:
            runtime.runtime.GetModelInfo(runtime_pb2.GetModelInfoRequest())
    assert "enable_mixed_chunk=True is not supported" in failure["reason"]
    assert raised.value.code() == grpc.StatusCode.FAILED_PRECONDITION
    assert failure["reason"] in raised.value.details()
