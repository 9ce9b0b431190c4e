"""A request is checked, tokenized, and given its tenant's limits, before anything waits for it."""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

from protos.generation.v1 import generation_pb2
from router.admission.waiting import Waiting
from router.budgets.limits import Limits, OnConflict
from router.identity import Caller
from router.replicas.choice import Wanted
from router.replicas.prefixes import block_hashes
from router.request_record import RequestRecord
from router.tenants.inheritance import Effective
from services.shared.errors import InvalidArgument, PermissionDenied, Violation
from services.shared.generation import GenerateCall, ModelLimits, check_fits, parse_generate
from services.shared.tokenizer import PromptTokenizer


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

    @cached_property
    def wanted(self) -> Wanted:
        """What it needs of a replica."""
        return Wanted(len(self.prompt_ids), self.call.sampling.max_new_tokens, block_hashes(self.prompt_ids))

    @property
    def waiting(self) -> Waiting:
        """As the queue sees it: its longest answer counts, and all of its prompt, which the prefill needs slots for."""
        tokens = self.wanted.kv_tokens
        return Waiting(self.tenant, self.limits.priority, self.limits.weight, cost_tokens=tokens, kv_tokens=tokens)

    def seconds_left(self, remaining: float | None) -> float | None:
        """Until waiting is of no use: the deadline, and the time to the first token where late ones are rejected."""
        if self.limits.on_conflict is not OnConflict.REJECT:
            return remaining
        asked = self.call.slo.ttft if self.call.slo.ttft is not None else self.limits.ttft_seconds
        return min((seconds for seconds in (remaining, asked) if seconds is not None), default=None)


class Preparation:
    """Of requests for the one model that is served, whose limits `fits` tells. It raises ServiceError."""

    def __init__(self, tokenizer: PromptTokenizer, policies: Policies, fits: Callable[[], ModelLimits]) -> None:
        self._tokenizer = tokenizer
        self._policies = policies
        self._fits = fits

    async def prepare(self, request: generation_pb2.GenerateRequest, caller: Caller, record: RequestRecord) -> Prepared:
        """The request, checked. Raises ServiceError."""
        record.tenant = caller.tenant
        if request.HasField("directive"):
            raise InvalidArgument(Violation("directive", "is for the router to set; leave it out, and use kv instead"))
        call = parse_generate(request)
        record.request_id, record.adapter = call.request_id, call.kv.adapter
        fits = self._fits()
        record.model = fits.model
        limits = self._policies.effective(caller.tenant, fits.model).limits
        _check_alias(call.kv.adapter, caller.tenant, limits)
        prompt_ids = await self._prompt_ids(call, record)
        record.prompt_tokens = len(prompt_ids)
        check_fits(call, prompt_ids, fits)
        return Prepared(request, call, caller.tenant, limits, prompt_ids)

    async def _prompt_ids(self, call: GenerateCall, record: RequestRecord) -> Sequence[int]:
        if call.text is None:
            return call.token_ids or ()
        began = time.monotonic()
        # a long text takes a while, in which other streams go on
        ids = await asyncio.to_thread(self._tokenizer.encode, call.text)
        record.tokenized(time.monotonic() - began)
        return ids


def _check_alias(alias: str, tenant: str, limits: Limits) -> None:
    if not limits.allows_alias(alias):
        allowed = ", ".join(limits.adapter_aliases) or "none"
        raise PermissionDenied(f"kv.adapter: {alias!r} is not for tenant {tenant!r}; it may name: {allowed}")
