"""The router's `Generate`: decides the budget and the runtime, then passes the answer on."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence

import grpc

from protos.generation.v1 import generation_pb2, generation_pb2_grpc
from router.budgets import NO_RULE
from router.budgets.base import Budget, BudgetRequest
from router.in_flight import InFlight
from router.replicas import ReplicaPool
from router.request_log import RequestRecord
from router.runtime_client import client_status
from router.tenants import Tenant, TenantResolver
from services.shared.errors import InvalidArgument, Violation
from services.shared.generation import GenerateCall, check_fits, parse_generate
from services.shared.tokenizer import PromptTokenizer


class GenerationServicer(generation_pb2_grpc.GenerationServiceServicer):
    """A drop-in for the runtime's servicer."""

    def __init__(
        self,
        tokenizer: PromptTokenizer,
        tenants: TenantResolver,
        budget: Callable[[BudgetRequest], Budget],
        pool: ReplicaPool,
        in_flight: InFlight,
    ) -> None:
        self._tokenizer = tokenizer
        self._tenants = tenants
        self._budget = budget
        self._pool = pool
        self._in_flight = in_flight

    async def Generate(
        self, request: generation_pb2.GenerateRequest, context: grpc.aio.ServicerContext
    ) -> AsyncIterator[generation_pb2.GenerateResponse]:
        record = RequestRecord()
        context.add_done_callback(record.write)
        with self._in_flight.enter():
            forwarded = await self._prepare(request, context, record)
            replica = self._pool.pick()
            record.target = replica.target
            stream = replica.generate(forwarded, context.time_remaining())
            try:
                async for response in stream:
                    yield response
            except grpc.aio.AioRpcError as error:
                self._pool.failed(replica, error)
                await context.abort_with_status(client_status(error))
            finally:
                stream.cancel()
            record.answered = True

    async def _prepare(
        self, request: generation_pb2.GenerateRequest, context: grpc.aio.ServicerContext, record: RequestRecord
    ) -> generation_pb2.GenerateRequest:
        """The request for the runtime. Raises a ServiceError for one that no runtime should see."""
        tenant = await self._tenants.resolve(context)
        record.tenant = tenant.name
        if request.HasField("directive"):
            raise InvalidArgument(Violation("directive", "is for the router to set; leave it out, and use kv instead"))
        call = parse_generate(request)
        record.request_id = call.request_id
        limits = self._pool.limits()
        prompt_ids = await self._prompt_ids(call)
        record.prompt_tokens = len(prompt_ids)
        check_fits(call, prompt_ids, limits)
        budget = self._budget(_budget_request(call, tenant, len(prompt_ids)))
        record.budget_tokens, record.budget_rule = budget.tokens, budget.rule
        forwarded = generation_pb2.GenerateRequest(
            request_id=call.request_id,
            model=request.model,
            sampling=request.sampling,
            directive=_directive(call, budget),
        )
        # filled in place, because a message that is passed in is copied
        forwarded.token_ids.ids.extend(prompt_ids)
        return forwarded

    async def _prompt_ids(self, call: GenerateCall) -> Sequence[int]:
        if call.text is None:
            return call.token_ids or ()
        # a long text takes a while, in which other streams go on
        return await asyncio.to_thread(self._tokenizer.encode, call.text)


def _budget_request(call: GenerateCall, tenant: Tenant, prompt_tokens: int) -> BudgetRequest:
    return BudgetRequest(
        prompt_tokens=prompt_tokens,
        tenant=tenant.name,
        hint_policy=call.kv.policy,
        hint_budget_tokens=call.kv.budget_tokens,
        hint_keep_ratio=call.kv.keep_ratio,
    )


def _directive(call: GenerateCall, budget: Budget) -> generation_pb2.KvDirective:
    return generation_pb2.KvDirective(
        policy=call.kv.policy,
        budget_tokens=None if budget.rule == NO_RULE else budget.tokens,
        reasons=budget.reasons,
        adapter=call.kv.adapter,
        split_key=call.kv.split_key,
    )
