"""The places where SGLang calls us. Entry point `sglang.srt.plugins`."""

from __future__ import annotations

import importlib.metadata
import inspect
import pkgutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import structlog
import torch
from sglang.srt.plugins.hook_registry import HookRegistry, HookType

from scorer.kernels.dispatch import HEALTH, ExampleShape, validate_kernels
from services.runtime.backends.sglang.process import StartReport, record_failure, write_start_report

logger = structlog.get_logger()

SGLANG_VERSION = "0.5.23"
SCHEDULER_MODULE = "sglang.srt.managers.scheduler"


class HooksMissing(Exception):
    """SGLang is not the one that the plugin was written for. The message says what differs."""


@dataclass(frozen=True)
class Hook:
    """A function of ours at a method of SGLang's, and the first parameters that the method must have."""

    target: str
    when: HookType
    call: Callable[..., Any]
    parameters: tuple[str, ...]


def around_scheduler_init(build: Callable[..., None], scheduler: Any, *args: Any, **kwargs: Any) -> None:
    """Refuse what cannot be served, and leave the reason for the parent process, whatever it is."""
    from services.runtime.backends.sglang.adapter import load_adapter
    from services.runtime.backends.sglang.adapter_loader import start_loader
    from services.runtime.backends.sglang.support import refuse_model, refuse_settings

    try:
        refuse_settings()
        build(scheduler, *args, **kwargs)
        refuse_model(scheduler)
        check_kernels(scheduler)
        write_start_report(StartReport(load_adapter(scheduler), HEALTH.failed))
        start_loader(scheduler)
    except Exception as error:
        record_failure(f"{type(error).__name__}: {error}")
        raise


def check_kernels(scheduler: Any) -> None:
    """On CUDA, turn off each of our kernels that does not give what its reference gives for this model, and say so."""
    runner, pool = scheduler.tp_worker.model_runner, scheduler.token_to_kv_pool_allocator.get_kvcache()
    device = torch.device(runner.device)
    if device.type != "cuda":
        return
    query_heads = runner.model_config.get_num_attention_heads(1)
    shape = ExampleShape(device, pool.dtype, query_heads, pool.head_num, pool.head_dim)
    for check in validate_kernels(shape):
        if check.ok:
            logger.info("kernel validated", kernel=check.name)
        else:
            logger.error("kernel off for good, its torch reference runs instead", kernel=check.name, why=check.error)


def after_forward(result: Any, worker: Any, batch: Any = None, *args: Any, **kwargs: Any) -> None:
    from services.runtime.backends.sglang.prefills import take_first_tokens

    # before SGLang's copy to the host: until then these are on the device
    if batch is not None and _is_prefill(batch) and result.next_token_ids is not None:
        take_first_tokens(batch, result.next_token_ids)


def after_run_batch(result: Any, scheduler: Any, batch: Any, *args: Any, **kwargs: Any) -> None:
    from services.runtime.backends.sglang.evictor import evict_finished_prefills

    if _is_prefill(batch):
        evict_finished_prefills(scheduler, batch)


def before_prefill_result(processor: Any, batch: Any, *args: Any, **kwargs: Any) -> None:
    from services.runtime.backends.sglang.evictor import finish_reports

    finish_reports(batch)


def after_forward_batch(forward_batch: Any, cls: type, batch: Any, *args: Any, **kwargs: Any) -> None:
    """RoPE goes on from the true length although the request holds fewer slots."""
    from services.runtime.backends.sglang.request_state import delta_tokens

    if not forward_batch.forward_mode.is_decode():
        return
    deltas = [delta_tokens(req) for req in batch.reqs]
    if any(deltas):
        positions = forward_batch.positions
        forward_batch.positions = positions + torch.tensor(deltas, dtype=positions.dtype).to(
            positions.device, non_blocking=True
        )


def after_retract(result: Any, req: Any) -> None:
    from services.runtime.backends.sglang.request_state import put_back

    put_back(req)


def before_prefill(req: Any, *args: Any, **kwargs: Any) -> None:
    from services.runtime.backends.sglang.request_state import set_answer_aside

    set_answer_aside(req)


def _is_prefill(batch: Any) -> bool:
    # not `is_extend()`, which is also true of mixed, verifying and split steps
    return batch.forward_mode.name == "EXTEND"


HOOKS = (
    Hook(f"{SCHEDULER_MODULE}.Scheduler.__init__", HookType.AROUND, around_scheduler_init, ("self", "server_args")),
    Hook(f"{SCHEDULER_MODULE}.Scheduler.run_batch", HookType.AFTER, after_run_batch, ("self", "batch")),
    Hook(
        "sglang.srt.managers.tp_worker.TpModelWorker.forward_batch_generation",
        HookType.AFTER,
        after_forward,
        ("self", "batch"),
    ),
    Hook(
        "sglang.srt.managers.scheduler_components.batch_result_processor"
        ".SchedulerBatchResultProcessor.process_batch_result_prefill",
        HookType.BEFORE,
        before_prefill_result,
        ("self", "batch", "result"),
    ),
    Hook(
        "sglang.srt.model_executor.forward_batch_info.ForwardBatch.init_new",
        HookType.AFTER,
        after_forward_batch,
        ("batch", "model_runner"),
    ),
    Hook("sglang.srt.managers.schedule_batch.Req.reset_for_retract", HookType.AFTER, after_retract, ("self",)),
    # not at the retraction itself: a result in flight may still stream the answer so far
    Hook("sglang.srt.managers.schedule_batch.Req.init_next_round_input", HookType.BEFORE, before_prefill, ("self",)),
)


def register() -> None:
    """Register the hooks, in processes that schedule; SGLang applies them. Called by SGLang in each process."""
    if SCHEDULER_MODULE not in sys.modules:
        return
    check_sglang()
    for hook in HOOKS:
        HookRegistry.register(hook.target, hook.call, hook.when)


def check_sglang() -> None:
    """Raise HooksMissing unless this is the SGLang that the hooks were written for."""
    version = importlib.metadata.version("sglang")
    if version != SGLANG_VERSION:
        raise HooksMissing(f"sglang {version} is installed, the plugin needs {SGLANG_VERSION}; install that version")
    for hook in HOOKS:
        found = tuple(inspect.signature(pkgutil.resolve_name(hook.target)).parameters)
        if found[: len(hook.parameters)] != hook.parameters:
            raise HooksMissing(f"{hook.target} takes {found}, the plugin expects {hook.parameters} first")


def check_applied() -> None:
    """Raise HooksMissing unless every hook is in place in this process."""
    missing = [hook.target for hook in HOOKS if hook.target not in HookRegistry._patched]
    if missing:
        raise HooksMissing(
            f"hooks not applied: {', '.join(missing)}; is the package installed, and lookaheadkv in SGLANG_PLUGINS?"
        )
