"""The router's `Generate` over gRPC."""

from collections.abc import AsyncIterator
from contextlib import aclosing

import grpc

from protos.generation.v1 import generation_pb2, generation_pb2_grpc
from router.generation import Generation
from router.identity import CallerResolver
from router.request_log import RequestRecord
from router.runtime_client import client_status
from router.tenants.access import caller_of


class GenerationServicer(generation_pb2_grpc.GenerationServiceServicer):
    """A drop-in for the runtime's servicer."""

    def __init__(self, generation: Generation, callers: CallerResolver) -> None:
        self._generation = generation
        self._callers = callers

    async def Generate(
        self, request: generation_pb2.GenerateRequest, context: grpc.aio.ServicerContext
    ) -> AsyncIterator[generation_pb2.GenerateResponse]:
        record = RequestRecord()
        context.add_done_callback(lambda ended: record.write(_status(ended, record)))
        caller = caller_of(context, self._callers)
        answer = self._generation.respond(request, caller, context.time_remaining, record)
        try:
            async with aclosing(answer) as responses:
                async for response in responses:
                    yield response
        except grpc.aio.AioRpcError as error:
            await context.abort_with_status(client_status(error))


def _status(context: grpc.aio.ServicerContext, record: RequestRecord) -> str:
    if context.code():
        return context.code().name
    if record.answered:
        return "OK"
    # gRPC gives no code to a call that ended from outside
    return "DEADLINE_EXCEEDED" if context.time_remaining() == 0 else "CANCELLED"
