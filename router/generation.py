"""The path of a request through the router, over whichever protocol it came."""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Protocol

import grpc

from protos.generation.v1 import generation_pb2
from router.admission.fair_queue import FairQueue
from router.admission.waiting import Waiting
from router.budgets import kv_budget
from router.budgets.base import BudgetRule, NoBudget, ReplicaView
from router.budgets.limits import Limits, OnConflict
from router.decisions import Placed, budget_request, decision_message, forwarded_request
from router.identity import Caller
from router.in_flight import InFlight
from router.latency.tracker import Answered, Sent, Trip
from router.replicas import Replica, ReplicaPool
from router.request_log import RequestRecord
from router.tenants.inheritance import Effective
from services.shared.durations import to_seconds
from services.shared.errors import InvalidArgument, PermissionDenied, ResourceExhausted, Violation
from services.shared.generation import GenerateCall, Hint, SloHint, check_fits, parse_generate
from services.shared.tokenizer import PromptTokenizer

# for what is only explained
ONE_TOKEN = generation_pb2.TokenIds(ids=[0])


class Policies(Protocol):
    """The limits of each tenant, and which state of them this is."""

    @property
    def generation(self) -> int: ...

    def effective(self, tenant: str, model: str) -> Effective: ...


@dataclass(frozen=True)
class Prepared:
    """A request that some runtime could serve."""

    request: generation_pb2.GenerateRequest
    call: GenerateCall
    tenant: str
    limits: Limits
    prompt_ids: Sequence[int]

    @property
    def waiting(self) -> Waiting:
        """As the queue sees it: its longest answer counts, and all of its prompt, which the prefill needs slots for."""
        tokens = len(self.prompt_ids) + self.call.sampling.max_new_tokens
        return Waiting(self.tenant, self.limits.priority, self.limits.weight, cost_tokens=tokens, kv_tokens=tokens)

    def seconds_left(self, remaining: float | None) -> float | None:
        """Until waiting is of no use: the deadline, and the time to the first token where late ones are rejected."""
        if self.limits.on_conflict is not OnConflict.REJECT:
            return remaining
        asked = self.call.slo.ttft if self.call.slo.ttft is not None else self.limits.ttft_seconds
        return min((seconds for seconds in (remaining, asked) if seconds is not None), default=None)


class Generation:
    """Checks, decides the budget, picks the runtime, and passes the answer on."""

    def __init__(
        self,
        tokenizer: PromptTokenizer,
        policies: Policies,
        rules: Mapping[str, BudgetRule],
        pool: ReplicaPool,
        queue: FairQueue,
        in_flight: InFlight,
    ) -> None:
        self._tokenizer = tokenizer
        self._policies = policies
        self._rules = rules
        self._pool = pool
        self._queue = queue
        self._in_flight = in_flight

    async def respond(
        self,
        request: generation_pb2.GenerateRequest,
        caller: Caller,
        time_remaining: Callable[[], float | None],
        record: RequestRecord,
    ) -> AsyncGenerator[generation_pb2.GenerateResponse, None]:
        """The answer, with the decision in its last message.

        Raises ServiceError before a runtime has the request, and grpc.aio.AioRpcError for what the runtime says.
        """
        with self._in_flight.enter():
            prepared = await self._prepare(request, caller, record)
            waiting = prepared.waiting
            record.queue_seconds = await self._queue.turn(waiting, prepared.seconds_left(time_remaining()))
            # nothing is awaited from here until the replica counts the request
            replica = self._pool.pick(waiting.kv_tokens)
            placed = self._place(prepared, replica.tracker.view(len(prepared.prompt_ids)), record)
            record.target = replica.target
            async with aclosing(self._stream(replica, prepared, placed, time_remaining, record)) as responses:
                async for response in responses:
                    yield response
            record.answered = True

    def explain(
        self,
        tenant: str,
        model: str,
        prompt_tokens: int,
        new_tokens: int,
        kv: generation_pb2.KvHint,
        slo: generation_pb2.Slo,
    ) -> tuple[generation_pb2.BudgetDecision, Effective]:
        """What a request would be given now. Raises ServiceError."""
        # checked as the parts of a request are
        call = parse_generate(generation_pb2.GenerateRequest(token_ids=ONE_TOKEN, kv=kv, slo=slo))
        found = self._policies.effective(tenant, model or self._pool.model_name)
        replica = self._pool.least_loaded()
        view = replica.tracker.view(prompt_tokens) if replica else None
        placed = self._decide(call.kv, call.slo, tenant, found.limits, prompt_tokens, new_tokens, view)
        return decision_message(placed), found

    async def _prepare(
        self, request: generation_pb2.GenerateRequest, caller: Caller, record: RequestRecord
    ) -> Prepared:
        record.tenant = caller.tenant
        if request.HasField("directive"):
            raise InvalidArgument(Violation("directive", "is for the router to set; leave it out, and use kv instead"))
        call = parse_generate(request)
        record.request_id = call.request_id
        fits = self._pool.limits()
        limits = self._policies.effective(caller.tenant, fits.model).limits
        _check_alias(call.kv.adapter, caller.tenant, limits)
        prompt_ids = await self._prompt_ids(call, record)
        record.prompt_tokens = len(prompt_ids)
        check_fits(call, prompt_ids, fits)
        return Prepared(request, call, caller.tenant, limits, prompt_ids)

    def _place(self, prepared: Prepared, view: ReplicaView, record: RequestRecord) -> Placed:
        call, prompt_tokens = prepared.call, len(prepared.prompt_ids)
        new_tokens = call.sampling.max_new_tokens
        if record.queue_seconds:
            # of the time to the first token a part is over
            view = replace(view, ttft_seconds=view.ttft_seconds + record.queue_seconds)
        placed = self._decide(call.kv, call.slo, prepared.tenant, prepared.limits, prompt_tokens, new_tokens, view)
        record.budget_tokens, record.budget_rule = placed.budget.tokens, placed.budget.rule
        return placed

    def _decide(
        self,
        hint: Hint,
        slo: SloHint,
        tenant: str,
        limits: Limits,
        prompt_tokens: int,
        new_tokens: int,
        view: ReplicaView | None,
    ) -> Placed:
        asked = budget_request(hint, slo, limits, prompt_tokens, new_tokens, view)
        try:
            budget = kv_budget(asked, self._rules)
        except NoBudget as error:
            raise ResourceExhausted(str(error)) from error
        return Placed(tenant, asked, budget, self._policies.generation)

    async def _prompt_ids(self, call: GenerateCall, record: RequestRecord) -> Sequence[int]:
        if call.text is None:
            return call.token_ids or ()
        began = time.monotonic()
        # a long text takes a while, in which other streams go on
        ids = await asyncio.to_thread(self._tokenizer.encode, call.text)
        record.tokenizing_seconds = time.monotonic() - began
        return ids

    async def _stream(
        self,
        replica: Replica,
        prepared: Prepared,
        placed: Placed,
        time_remaining: Callable[[], float | None],
        record: RequestRecord,
    ) -> AsyncGenerator[generation_pb2.GenerateResponse, None]:
        forwarded = forwarded_request(prepared.request, prepared.call, prepared.prompt_ids, placed)
        record.forwarded()
        stream = replica.generate(forwarded, time_remaining())
        new_tokens = prepared.call.sampling.max_new_tokens
        trip = replica.tracker.send(Sent(len(prepared.prompt_ids), placed.budget.tokens, new_tokens))
        try:
            async for response in stream:
                if _note(trip, response):
                    # what is not kept of the prompt is free now
                    self._queue.wake()
                if response.HasField("complete"):
                    response.complete.decision.CopyFrom(decision_message(placed, record.queue_seconds))
                yield response
        except grpc.aio.AioRpcError as error:
            self._pool.failed(replica, error)
            raise
        finally:
            trip.end()
            stream.cancel()
            # its slots may have been counted still when the call's end was told
            self._queue.wake()


def _note(trip: Trip, response: generation_pb2.GenerateResponse) -> bool:
    """Let the replica's latency model see it. Whether the first tokens are in it."""
    if response.HasField("chunk"):
        return trip.tokens(len(response.chunk.token_ids))
    usage, ttft = response.complete.usage, response.complete.kv.ttft
    trip.end(Answered(usage.completion_tokens, usage.cached_tokens, to_seconds(ttft)))
    return False


def _check_alias(alias: str, tenant: str, limits: Limits) -> None:
    if not limits.allows_alias(alias):
        allowed = ", ".join(limits.adapter_aliases) or "none"
        raise PermissionDenied(f"kv.adapter: {alias!r} is not for tenant {tenant!r}; it may name: {allowed}")
