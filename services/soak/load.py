"""Constant load: requests that name aliases at random, one after the other by each of several workers."""

import asyncio
import itertools
import random
import time
from collections import Counter
from collections.abc import Mapping

import grpc

from protos.generation.v1 import generation_pb2, generation_pb2_grpc
from services.soak.history import Seen
from services.soak.plan import ADAPTER, ANSWER_SECONDS, MOVED

POLICIES = ("lookahead", "fused")
# an alias as requests name it, and its own name
NAMES: Mapping[str, str] = {
    "": "default",
    **{name: name for name in MOVED},
    **{f"{ADAPTER}/{name}": name for name in MOVED},
}
PROMPT_TOKENS = (140, 200)
NEW_TOKENS = (1, 4)
BUDGET_TOKENS = 64
# in front of them lie special tokens
FIRST_TOKEN_ID = 100
# a request that failed is not sent again, but the next one need not fail at once, too
AFTER_FAILURE_SECONDS = 0.2


class Load:
    """Sends requests to a router and keeps what came back."""

    def __init__(self, channel: grpc.aio.Channel, vocab_size: int, seed: int) -> None:
        self.seen: list[Seen] = []
        self.failures: list[str] = []
        self.window_reasons = Counter[str]()
        self.stopped = asyncio.Event()
        self._stub = generation_pb2_grpc.GenerationServiceStub(channel)
        self._vocab_size = vocab_size
        self._seeds = itertools.count(1000 * seed)
        self._random = random.Random(seed)

    @property
    def requests(self) -> int:
        return len(self.seen) + len(self.failures)

    async def work(self) -> None:
        """Ask until stopped."""
        chosen = random.Random(next(self._seeds))
        while not self.stopped.is_set():
            name, policy = chosen.choice(list(NAMES)), chosen.choice(POLICIES)
            if await self.ask(name, policy, chosen.randint(*NEW_TOKENS)) is None:
                await asyncio.sleep(AFTER_FAILURE_SECONDS)

    async def ask(self, name: str, policy: str = POLICIES[0], new_tokens: int = 1) -> Seen | None:
        """The answer to a request that names this alias, None when it failed."""
        request = self._request(name, policy, new_tokens)
        sent = time.monotonic()
        try:
            complete = await self._complete(request)
        except grpc.aio.AioRpcError as error:
            self.failures.append(f"alias {name!r}: {error.code().name}: {error.details()}")
            return None
        if complete.finish_reason != generation_pb2.FINISH_REASON_LENGTH:
            reason = generation_pb2.FinishReason.Name(complete.finish_reason)
            self.failures.append(f"alias {name!r}: the answer ended with {reason}")
            return None
        self.seen.append(self._seen(NAMES.get(name, name), policy, sent, complete.kv))
        return self.seen[-1]

    def _seen(self, alias: str, policy: str, sent: float, kv: generation_pb2.KvReport) -> Seen:
        named = kv.adapter_alias.removeprefix(f"{ADAPTER}/")
        seen = Seen(alias, policy, sent, time.monotonic(), kv.policy, kv.adapter, kv.adapter_version, named)
        if seen.by_window:
            self.window_reasons[kv.reasons[0]] += 1
        return seen

    async def _complete(self, request: generation_pb2.GenerateRequest) -> generation_pb2.GenerateComplete:
        """The last message; an empty one when there is none."""
        complete = generation_pb2.GenerateComplete()
        stream = self._stub.Generate(request, timeout=ANSWER_SECONDS)
        try:
            async for response in stream:
                if response.HasField("complete"):
                    complete = response.complete
        finally:
            stream.cancel()
        return complete

    def _request(self, name: str, policy: str, new_tokens: int) -> generation_pb2.GenerateRequest:
        length = self._random.randint(*PROMPT_TOKENS)
        ids = [self._random.randrange(FIRST_TOKEN_ID, self._vocab_size) for _ in range(length)]
        return generation_pb2.GenerateRequest(
            token_ids=generation_pb2.TokenIds(ids=ids),
            sampling=generation_pb2.SamplingParams(max_new_tokens=new_tokens, temperature=0, ignore_eos=True),
            kv=generation_pb2.KvHint(policy=policy, budget_tokens=BUDGET_TOKENS, adapter=name),
        )
