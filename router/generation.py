"""The path of a request through the router, over whichever protocol it came."""

from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, replace

from protos.generation.v1 import generation_pb2
from router.admission.base import Claim, Lease, Quotas
from router.admission.fair_queue import FairQueue
from router.budgets import kv_budget
from router.budgets.base import BudgetRequest, BudgetRule, NoBudget
from router.decisions import Placed, budget_request, decision_message
from router.dispatch import Dispatch, Job
from router.identity import Caller
from router.in_flight import InFlight
from router.preparation import Policies, Preparation, Prepared
from router.replicas.choice import Wanted
from router.replicas.pool import ReplicaPool
from router.replicas.replica import Replica
from router.request_record import RequestRecord
from router.tenants.inheritance import Effective
from services.shared.errors import ResourceExhausted
from services.shared.generation import parse_generate

# for what is only explained
ONE_TOKEN = generation_pb2.TokenIds(ids=[0])
SLO_NOT_MET = "SLO_NOT_MET"
RETRY_SECONDS = 1.0


@dataclass(frozen=True)
class Admission:
    """Who may go on, and when."""

    in_flight: InFlight
    quotas: Quotas
    queue: FairQueue


class Generation:
    """Lets a request in, decides its budget, and passes the answer on."""

    def __init__(
        self,
        preparation: Preparation,
        admission: Admission,
        policies: Policies,
        rules: Mapping[str, BudgetRule],
        pool: ReplicaPool,
        dispatch: Dispatch,
    ) -> None:
        self._preparation = preparation
        self._admission = admission
        self._policies = policies
        self._rules = rules
        self._pool = pool
        self._dispatch = dispatch

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
        admission = self._admission
        with admission.in_flight.enter():
            prepared = await self._preparation.prepare(request, caller, record)
            async with admission.quotas.hold(self._claim(prepared)) as lease:
                try:
                    seconds_left = prepared.seconds_left(time_remaining())
                    record.queued(await admission.queue.turn(prepared.waiting, seconds_left))
                    # nothing is awaited from here until a replica counts the request
                    job = self._job(prepared, lease, time_remaining, record)
                    async with aclosing(self._dispatch.answer(job, record)) as responses:
                        async for response in responses:
                            yield response
                finally:
                    lease.used_tokens = record.used_tokens
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
        replica = self._pool.likely(Wanted(prompt_tokens, new_tokens))
        asked = budget_request(call.kv, call.slo, found.limits, prompt_tokens, new_tokens)
        return decision_message(self._decide(tenant, asked, replica)), found

    def _job(
        self, prepared: Prepared, lease: Lease, time_remaining: Callable[[], float | None], record: RequestRecord
    ) -> Job:
        def place(replica: Replica) -> Placed:
            asked = replace(_asked(prepared), granted_kv_tokens=lease.granted_kv_tokens)
            placed = self._decide(prepared.tenant, asked, replica, prepared.wanted, record.queue_seconds)
            record.placed = placed
            return placed

        return Job(prepared.request, prepared.call, prepared.prompt_ids, prepared.wanted, place, time_remaining)

    def _claim(self, prepared: Prepared) -> Claim:
        """What the request will use at most; its KV is only estimated where it counts."""
        limits, wanted, new_tokens = prepared.limits, prepared.wanted, prepared.wanted.new_tokens
        kv_tokens = least = 0
        if limits.max_resident_kv_tokens is not None:
            placed = self._decide(prepared.tenant, _asked(prepared), self._pool.likely(wanted), wanted)
            kv_tokens = placed.budget.tokens + new_tokens
            least = limits.floor_tokens(wanted.prompt_tokens) + new_tokens
        return Claim(prepared.tenant, limits, wanted.kv_tokens, kv_tokens, least)

    def _decide(
        self,
        tenant: str,
        asked: BudgetRequest,
        replica: Replica | None,
        wanted: Wanted | None = None,
        waited_seconds: float = 0.0,
    ) -> Placed:
        """Raises ResourceExhausted where no budget meets the SLO, with RetryInfo where an idle replica would."""
        matched = replica.prefixes.matched_tokens(wanted.hashes) if replica and wanted else 0
        uncached = asked.prompt_tokens - matched
        if replica:
            view = replica.tracker.view(uncached)
            if waited_seconds:
                # of the time to the first token a part is over
                view = replace(view, ttft_seconds=view.ttft_seconds + waited_seconds)
            asked = replace(asked, replica=view)
        try:
            budget = kv_budget(asked, self._rules)
        except NoBudget as error:
            idle = replace(asked, replica=replica.tracker.idle_view(uncached) if replica else None)
            wait = RETRY_SECONDS if self._is_possible(idle) else None
            raise ResourceExhausted(str(error), SLO_NOT_MET, retry_after_seconds=wait) from error
        return Placed(tenant, asked, budget, self._policies.generation)

    def _is_possible(self, asked: BudgetRequest) -> bool:
        try:
            kv_budget(asked, self._rules)
        except NoBudget:
            return False
        return True


def _asked(prepared: Prepared) -> BudgetRequest:
    call, wanted = prepared.call, prepared.wanted
    return budget_request(call.kv, call.slo, prepared.limits, wanted.prompt_tokens, wanted.new_tokens)
