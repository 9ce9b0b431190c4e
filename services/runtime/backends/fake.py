"""An engine without a model: same slots, queue and reports as a real one, answers derived from the prompt."""

import asyncio
import time
import zlib
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from scorer.adapters.errors import AdapterError
from scorer.adapters.fingerprint import model_fingerprint, read_config
from scorer.adapters.folder import read_folder
from scorer.policies import ADAPTER_POLICIES, BLIND_POLICIES
from services.runtime.adapter_table import Loaded, LocalAdapter
from services.runtime.adapters import AdapterInfo, choose_adapter
from services.runtime.adaptive import Choice, choose_budget, possible_budgets
from services.runtime.backends.base import EngineFailed, EngineOutput, EngineRequest, Finish, Load, ModelInfo
from services.runtime.backends.fake_device import Device
from services.runtime.backends.fake_pool import Lease, SlotPool
from services.runtime.eviction import EvictionPlan, EvictionReport, adapter_gone
from services.runtime.settings import RuntimeSettings


@dataclass(frozen=True)
class FakeArgs:
    """What `engine_args` may hold for this backend.

    A step of decoding takes 1 / `tokens_per_second`, and `decode_token_seconds` for each KV token of the batch. Prefill
    takes 1 / `prefill_tokens_per_second` for each token, and `prefill_pair_seconds` for each pair of them. With
    `one_device` prompts are prefilled one after the other, while decoding waits, as a real engine does it.
    """

    tokens_per_second: float = 2000.0
    decode_token_seconds: float = 0.0
    prefill_tokens_per_second: float = 1e6
    prefill_pair_seconds: float = 0.0
    one_device: bool = False
    total_slots: int = 20_000
    max_running: int = 8
    # a kept share r of a prompt retains r ** mass_exponent of the mass; the lower, the easier the prompts
    mass_exponent: float = 0.1
    # to rehearse failures
    adapter_load_seconds: float = 0.0
    start_seconds: float = 0.0
    start_error: str = ""
    dies_after_seconds: float | None = None


@dataclass(frozen=True)
class Timing:
    """Of one request; `prefill_began` in seconds since the epoch."""

    queue_seconds: float = 0.0
    prefill_seconds: float = 0.0
    prefill_began: float = 0.0


class FakeBackend:
    """Deterministic: the same prompt always gets the same tokens, each written `t<id> `."""

    def __init__(self, info: ModelInfo, args: FakeArgs, config: Mapping[str, Any]) -> None:
        self.info = info
        self.args = args
        self._pool = SlotPool(args.total_slots, args.max_running)
        self._device = Device(1 / args.tokens_per_second, args.decode_token_seconds, args.one_device)
        self._config = config
        self._held: dict[str, AdapterInfo] = {}

    @classmethod
    async def start(cls, settings: RuntimeSettings) -> Self:
        """A backend for the model folder in `settings`. Raises EngineFailed with the reason."""
        try:
            args = FakeArgs(**settings.engine_args)
            config = read_config(settings.model_path)
            info = _model_info(settings, config)
        except (TypeError, KeyError, FileNotFoundError) as error:
            raise EngineFailed(str(error)) from error
        await asyncio.sleep(args.start_seconds)
        if args.start_error:
            raise EngineFailed(args.start_error)
        return cls(info, args, config)

    async def generate(self, request: EngineRequest) -> AsyncGenerator[EngineOutput, None]:
        """Stream the answer, one output a token. Closing the iterator frees the request's slots at once."""
        arrived = time.monotonic()
        lease = Lease(len(request.prompt_ids), request.sampling.max_new_tokens)
        if lease.tokens > self._pool.total_slots:
            yield EngineOutput("", (), _finish("abort", "", 0, Timing(), None))
            return
        async with self._pool.hold(lease):
            began = await self._device.prefill(self._prefill_seconds(lease.prompt_tokens))
            timing = Timing(began - arrived, time.monotonic() - began, time.time() - (time.monotonic() - began))
            report = self._evict(lease, request.plan) if request.plan else None
            emitted = ""
            with self._device.decode(lease.prompt_tokens) as steps:
                for index, token in enumerate(_answer(request, self.info.vocab_size), start=1):
                    text, reason, matched = _judge(request, emitted, token, index)
                    emitted += text
                    finish = _finish(reason, matched, index, timing, report) if reason else None
                    yield EngineOutput(text, (token,), finish)
                    if finish:
                        return
                    await steps.next()

    async def load_adapters(self, wanted: Sequence[LocalAdapter]) -> Loaded:
        """As a real engine would, which takes `adapter_load_seconds`."""
        problems: dict[str, str] = {}
        for adapter in wanted:
            if adapter.id not in self._held:
                await asyncio.sleep(self.args.adapter_load_seconds)
                try:
                    bundle = await asyncio.to_thread(read_folder, adapter.folder, self._config)
                except AdapterError as error:
                    problems[adapter.id] = str(error)
                else:
                    self._held[adapter.id] = AdapterInfo.of(bundle)
        if not problems:
            self._held = {adapter.id: self._held[adapter.id] for adapter in wanted}
        return Loaded(frozenset(self._held), problems)

    async def load(self) -> Load:
        """Requests and slots at this moment."""
        pool = self._pool
        return Load(pool.running, pool.queued, pool.total_slots, pool.free_slots, pool.max_running)

    def metrics(self) -> tuple[()]:
        """None."""
        return ()

    async def failure(self) -> str:
        """Never returns, unless `dies_after_seconds` says so."""
        if self.args.dies_after_seconds is None:
            await asyncio.Event().wait()
        await asyncio.sleep(self.args.dies_after_seconds or 0)
        return f"the fake engine died after {self.args.dies_after_seconds} s, as it was told to"

    async def close(self) -> None:
        """Nothing to stop."""

    def _prefill_seconds(self, tokens: int) -> float:
        return tokens / self.args.prefill_tokens_per_second + tokens * tokens * self.args.prefill_pair_seconds

    def _evict(self, lease: Lease, plan: EvictionPlan) -> EvictionReport:
        prompt_tokens, began = lease.prompt_tokens, time.time()
        budgets = possible_budgets(plan, prompt_tokens)
        if not budgets:
            return EvictionReport(prompt_tokens, skipped="the prompt is not longer than its budget")
        masses = [(tokens / prompt_tokens) ** self.args.mass_exponent for tokens in budgets]
        choice = Choice(budgets[-1], masses[-1], "")
        if plan.min_retained_mass is not None:
            choice = choose_budget(plan, prompt_tokens, budgets, masses)
        if choice.tokens is None:
            return EvictionReport(prompt_tokens, skipped=choice.why)
        before, scored = self._pool.free_slots, time.time()
        self._pool.shrink(lease, choice.tokens)
        compacted = time.time()
        adapter = self._adapter(plan)
        gone = adapter is None and plan.policy in ADAPTER_POLICIES
        return EvictionReport(
            choice.tokens,
            before,
            self._pool.free_slots,
            retained_mass=None if plan.policy in BLIND_POLICIES else choice.retained_mass,
            adapter=adapter.name if adapter else "",
            adapter_version=adapter.version if adapter else 0,
            replaced=adapter_gone(plan) if gone else "",
            choice=choice.why,
            scoring_seconds=scored - began,
            compaction_seconds=compacted - scored,
            scoring_ended=scored,
            compaction_ended=compacted,
        )

    def _adapter(self, plan: EvictionPlan) -> AdapterInfo | None:
        if plan.policy not in ADAPTER_POLICIES:
            return None
        return self._held.get(plan.adapter) if plan.adapter else self.info.adapter


def _model_info(settings: RuntimeSettings, config: dict[str, Any]) -> ModelInfo:
    heads = config["num_attention_heads"]
    kv_heads = config.get("num_key_value_heads", heads)
    head_dim = config.get("head_dim") or config["hidden_size"] // heads
    layers = config["num_hidden_layers"]
    choice = choose_adapter(settings.adapter_path, config)
    return ModelInfo(
        model=settings.model_name or settings.model_path.name,
        fingerprint=model_fingerprint(config),
        context_tokens=config["max_position_embeddings"],
        vocab_size=config["vocab_size"],
        layers=layers,
        kv_heads=kv_heads,
        head_dim=head_dim,
        kv_bytes_per_token=2 * 2 * layers * kv_heads * head_dim,
        adapter=choice.info,
        adapter_problem=choice.problem,
    )


def _answer(request: EngineRequest, vocab_size: int) -> list[int]:
    """`max_new_tokens` ids that depend on the prompt and on nothing else."""
    state = zlib.crc32(repr(request.prompt_ids).encode())
    ids = []
    for _ in range(request.sampling.max_new_tokens):
        state = (1103515245 * state + 12345) % 2**31
        ids.append((state >> 8) % vocab_size)
    return ids


def _judge(request: EngineRequest, emitted: str, token: int, index: int) -> tuple[str, Any, str]:
    """Text of this token up to a stop string, the reason to end here or "", and what matched."""
    text, sampling = f"t{token} ", request.sampling
    if token in sampling.stop_token_ids:
        return "", "stop", str(token)
    whole = emitted + text
    found = [(at, stop) for stop in sampling.stop if (at := whole.find(stop)) >= 0]
    if found:
        at, stop = min(found)
        return whole[len(emitted) : max(at, len(emitted))], "stop", stop
    return text, "length" if index == sampling.max_new_tokens else "", ""


def _finish(reason: Any, matched: str, tokens: int, timing: Timing, report: EvictionReport | None) -> Finish:
    times = (timing.queue_seconds, timing.prefill_seconds, report, timing.prefill_began)
    return Finish(reason, matched, tokens, 0, 0, *times)
