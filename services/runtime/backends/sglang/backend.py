"""The `Backend` over an in-process SGLang engine."""

from __future__ import annotations

import asyncio
import concurrent.futures
import shutil
import signal
import threading
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import Any, Self, TypeVar

from fastapi import HTTPException
from prometheus_client import Metric

from scorer.adapters.fingerprint import model_fingerprint, read_config
from services.runtime.adapter_table import Loaded, LocalAdapter
from services.runtime.adapters import AdapterChoice, choose_adapter
from services.runtime.backends.base import EngineFailed, EngineOutput, EngineRequest, Finish, Load, ModelInfo
from services.runtime.backends.sglang.adapter_channel import AdapterChannel
from services.runtime.backends.sglang.engine import EngineSignals, Launched, launch
from services.runtime.backends.sglang.metrics import sglang_metrics
from services.runtime.backends.sglang.request_state import PARAMS_KEY
from services.runtime.backends.sglang.warm_up import problem, warm_up_request
from services.runtime.eviction import EvictionPlan, EvictionReport
from services.runtime.settings import RuntimeSettings
from services.shared.errors import InvalidArgument, Unavailable, Violation
from services.shared.generation import Sampling

T = TypeVar("T")


class SglangBackend:
    """Stock SGLang with our plugin in its scheduler process."""

    def __init__(self, launched: Launched, info: ModelInfo, died: asyncio.Future[str]) -> None:
        self.info = info
        self._launched = launched
        self._engine = launched.engine
        self._channel = AdapterChannel(launched.channel)
        self._tokenizer_manager = self._engine.tokenizer_manager
        self._died = died

    @classmethod
    async def start(cls, settings: RuntimeSettings) -> Self:
        died: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        # SGLang's children report a crash by SIGQUIT to their parent, whose default would be to dump core
        signals = EngineSignals(died)
        asyncio.get_running_loop().add_signal_handler(signal.SIGQUIT, signals.running_phase_sigquit_handler)
        choice = await asyncio.to_thread(choose_adapter, settings.adapter_path, read_config(settings.model_path))
        launched = await _in_lasting_thread(lambda: launch(settings, choice.folder))
        launched.engine.tokenizer_manager.signal_handler_class = lambda manager: signals
        backend = cls(launched, _model_info(settings, launched, choice), died)
        try:
            await backend._prove_eviction_or_die()
        except BaseException:
            await backend.close()
            raise
        return backend

    async def generate(self, request: EngineRequest) -> AsyncGenerator[EngineOutput, None]:
        finished, report = False, None
        try:
            stream = await self._engine.async_generate(
                input_ids=list(request.prompt_ids),
                sampling_params=_sampling_params(request.sampling, request.plan),
                stream=True,
                rid=request.request_id,
            )
            async with aclosing(stream):
                async for chunk in stream:
                    # the report comes with the first token only
                    report = report or _report(chunk["meta_info"])
                    output = _output(chunk, report)
                    finished = output.finish is not None
                    if finished or output.token_ids:
                        yield output
        except HTTPException as error:
            raise Unavailable(f"the engine gave the request up: {error.detail}") from error
        except ValueError as error:
            raise InvalidArgument(Violation("request", str(error))) from error
        finally:
            if not finished:
                self._tokenizer_manager.abort_request(request.request_id)

    async def load_adapters(self, wanted: Sequence[LocalAdapter]) -> Loaded:
        return await self._channel.ask({adapter.id: str(adapter.folder) for adapter in wanted})

    async def load(self) -> Load:
        snapshot = (await self._tokenizer_manager.get_loads())[0]
        return Load(
            running_requests=snapshot.num_running_reqs,
            queued_requests=snapshot.num_waiting_reqs,
            total_slots=snapshot.max_total_num_tokens,
            free_slots=snapshot.max_total_num_tokens - snapshot.num_used_tokens,
            # by the scheduler, which fits it to the pool; what was asked for may be more
            max_running_requests=snapshot.max_running_requests,
        )

    def metrics(self) -> Iterator[Metric]:
        return sglang_metrics()

    async def failure(self) -> str:
        return await asyncio.shield(self._died)

    async def close(self) -> None:
        await asyncio.to_thread(self._engine.shutdown)
        await asyncio.to_thread(shutil.rmtree, self._launched.channel, ignore_errors=True)

    async def _prove_eviction_or_die(self) -> None:
        proof = asyncio.create_task(self._prove_eviction())
        either: tuple[asyncio.Future[Any], ...] = (proof, self._died)
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        if self._died.done():
            proof.cancel()
            raise EngineFailed(f"SGLang died at its first prompt: {self._died.result()}")
        await proof

    async def _prove_eviction(self) -> None:
        """Raise EngineFailed unless `window` works on a first prompt; do without an adapter whose policies do not."""
        if why := await self._try_policy("window"):
            raise EngineFailed(why)
        if self.info.adapter and (why := await self._try_policy("fused")):
            self.info = replace(self.info, adapter=None, adapter_problem=why)

    async def _try_policy(self, policy: str) -> str:
        """Why a first prompt does not prove that `policy` works; empty when it does."""
        finish: Finish | None = None
        async for output in self.generate(warm_up_request(policy, self._tokenizer_manager.server_args.page_size or 1)):
            finish = output.finish
        return problem(policy, finish.eviction if finish else None)


async def _in_lasting_thread(work: Callable[[], T]) -> T:
    """Like asyncio.to_thread, in a thread that lasts as long as the process and does not hold up its end.

    SGLang's processes ask the kernel to be killed when their parent ends, and to Linux that is the thread.
    """
    done: concurrent.futures.Future[T] = concurrent.futures.Future()

    def run() -> None:
        try:
            done.set_result(work())
        except EngineFailed as error:
            done.set_exception(error)
        threading.Event().wait()

    threading.Thread(target=run, name="launch-sglang", daemon=True).start()
    return await asyncio.wrap_future(done)


def _model_info(settings: RuntimeSettings, launched: Launched, choice: AdapterChoice) -> ModelInfo:
    model, report = launched.engine.tokenizer_manager.model_config, launched.report
    kv_heads, head_dim = model.get_total_num_kv_heads(), model.head_dim
    return ModelInfo(
        model=settings.model_name or settings.model_path.name,
        fingerprint=model_fingerprint(read_config(settings.model_path)),
        context_tokens=model.context_len,
        vocab_size=model.vocab_size,
        layers=model.num_hidden_layers,
        kv_heads=kv_heads,
        head_dim=head_dim,
        kv_bytes_per_token=2 * model.num_hidden_layers * kv_heads * head_dim * model.dtype.itemsize,
        adapter=None if report.adapter_problem else choice.info,
        adapter_problem=choice.problem or report.adapter_problem,
        kernels_off=report.kernels_off,
    )


def _sampling_params(sampling: Sampling, plan: EvictionPlan | None) -> dict[str, Any]:
    params: dict[str, Any] = sampling.model_dump(exclude_none=True)
    params["stop"], params["stop_token_ids"] = list(sampling.stop), list(sampling.stop_token_ids)
    if plan is not None:
        params["custom_params"] = {PARAMS_KEY: plan.to_params()}
    return params


def _report(meta: dict[str, Any]) -> EvictionReport | None:
    reports = [report for report in meta.get(PARAMS_KEY) or () if report]
    return EvictionReport(**reports[0]) if reports else None


def _output(chunk: dict[str, Any], report: EvictionReport | None) -> EngineOutput:
    meta = chunk["meta_info"]
    finish = _finish(meta, report) if meta["finish_reason"] else None
    return EngineOutput(chunk["text"], tuple(chunk["output_ids"]), finish)


def _finish(meta: dict[str, Any], report: EvictionReport | None) -> Finish:
    reason = meta["finish_reason"]
    return Finish(
        reason=reason["type"],
        matched_stop=str(reason.get("matched") or ""),
        completion_tokens=meta["completion_tokens"],
        cached_tokens=meta["cached_tokens"],
        retractions=meta.get("num_retractions") or 0,
        queue_seconds=meta.get("queue_time") or 0.0,
        prefill_seconds=_prefill_seconds(meta, report),
        eviction=report,
        prefill_began=meta.get("forward_entry_time") or 0.0,
    )


def _prefill_seconds(meta: dict[str, Any], report: EvictionReport | None) -> float:
    # SGLang's mark for the end of prefill lies behind our own work of the same step
    ours = report.scoring_seconds + report.compaction_seconds if report else 0.0
    return max(0.0, meta["prefill_finished_time"] - meta["forward_entry_time"] - ours)
