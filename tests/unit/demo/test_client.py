import threading
import time
from concurrent import futures

import grpc
import pytest

from protos.generation.v1 import generation_pb2, generation_pb2_grpc
from services.demo.client import NoAnswer, ask
from services.local.stack import local_channel

PAUSE_SECONDS = 0.05


def chunk(*token_ids: int) -> generation_pb2.GenerateResponse:
    return generation_pb2.GenerateResponse(chunk=generation_pb2.GenerateChunk(token_ids=token_ids))


COMPLETE = generation_pb2.GenerateResponse(complete=generation_pb2.GenerateComplete(request_id="r"))


class ScriptedService(generation_pb2_grpc.GenerationServiceServicer):
    """Sends what it is told to, with a pause before each message."""

    def __init__(self) -> None:
        self.script: list[generation_pb2.GenerateResponse] = []
        self.cancelled = threading.Event()

    def Generate(self, request, context):
        context.add_callback(self.cancelled.set)
        for response in self.script:
            time.sleep(PAUSE_SECONDS)
            yield response


@pytest.fixture
def service():
    return ScriptedService()


@pytest.fixture
def channel(service):
    server = grpc.server(futures.ThreadPoolExecutor(1))
    generation_pb2_grpc.add_GenerationServiceServicer_to_server(service, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    with local_channel(f"127.0.0.1:{port}") as channel:
        yield channel
    server.stop(None).wait()


def test_tokens_are_shown_as_they_come_and_returned_together(service, channel):
    service.script = [chunk(1), chunk(2, 3), COMPLETE]
    shown = []
    answer = ask(channel, generation_pb2.GenerateRequest(), lambda ids: shown.append(list(ids)))
    assert shown == [[1], [1, 2, 3]]
    assert answer.token_ids == [1, 2, 3]
    assert answer.complete.request_id == "r"


def test_the_rate_counts_only_what_came_after_the_first_message(service, channel):
    service.script = [chunk(*range(100)), chunk(1, 2), chunk(3, 4), COMPLETE]
    answer = ask(channel, generation_pb2.GenerateRequest(), lambda ids: None)
    # four tokens in two pauses; a loaded machine is slower, never faster
    assert 0 < answer.decode_tokens_per_s <= 4 / (2 * PAUSE_SECONDS) * 1.5
    assert answer.ttft_seconds >= PAUSE_SECONDS * 0.5


@pytest.mark.parametrize("script", [[chunk(1)], [COMPLETE]], ids=["no last message", "no token"])
def test_half_an_answer_is_an_error(service, channel, script):
    service.script = script
    with pytest.raises(NoAnswer):
        ask(channel, generation_pb2.GenerateRequest(), lambda ids: None)


def test_a_caller_that_stops_reading_cancels_the_call(service, channel):
    service.script = [chunk(1)] * 100

    def stop(ids):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ask(channel, generation_pb2.GenerateRequest(), stop)
    assert service.cancelled.wait(5)
