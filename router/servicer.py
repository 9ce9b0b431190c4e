"""The router's `Generate` over gRPC."""

from collections.abc import AsyncIterator
from contextlib import aclosing

import grpc

from protos.generation.v1 import generation_pb2, generation_pb2_grpc
from router.generation import Generation
from router.identity import CallerResolver
from router.request_record import Requests
from router.runtime_client import client_status
from services.shared.call_facts import call_headers, call_status
from services.shared.errors import ServiceError


class GenerationServicer(generation_pb2_grpc.GenerationServiceServicer):
    """A drop-in for the runtime's servicer."""

    def __init__(self, generation: Generation, callers: CallerResolver, requests: Requests) -> None:
        self._generation = generation
        self._callers = callers
        self._requests = requests

    async def Generate(
        self, request: generation_pb2.GenerateRequest, context: grpc.aio.ServicerContext
    ) -> AsyncIterator[generation_pb2.GenerateResponse]:
        headers = call_headers(context)
        record = self._requests.start(headers)
        context.add_done_callback(lambda ended: record.finish(call_status(ended, record.answered)))
        try:
            caller = self._callers.resolve(headers, context.peer())
            answer = self._generation.respond(request, caller, context.time_remaining, record)
            async with aclosing(answer) as responses:
                async for response in responses:
                    yield response
        except ServiceError as error:
            record.refused(error)
            raise
        except grpc.aio.AioRpcError as error:
            await context.abort_with_status(client_status(error))
