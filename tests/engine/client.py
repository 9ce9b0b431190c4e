"""Requests to a runtime, and what comes back."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from safetensors.torch import load_file

from protos.generation.v1 import generation_pb2
from tests.engine.conftest import Runtime
from tests.engine.reference import Eviction


@dataclass(frozen=True)
class Answer:
    """A finished answer. `kept` [L, Hkv, K] is what the plugin chose, None when it evicted nothing."""

    tokens: list[int]
    complete: generation_pb2.GenerateComplete
    kept: torch.Tensor | None


def request(
    ids: Sequence[int], new_tokens: int, eviction: Eviction | None = None, request_id: str = ""
) -> generation_pb2.GenerateRequest:
    """A greedy request for exactly `new_tokens` tokens."""
    directive = None
    if eviction:
        directive = generation_pb2.KvDirective(
            policy=eviction.policy,
            budget_tokens=eviction.budget or None,
            min_retained_mass=eviction.mass,
            sink_tokens=eviction.sinks,
            recent_tokens=eviction.recent,
            reasons=["the test asked for it"],
        )
    return generation_pb2.GenerateRequest(
        request_id=request_id,
        token_ids=generation_pb2.TokenIds(ids=ids),
        sampling=generation_pb2.SamplingParams(max_new_tokens=new_tokens, temperature=0, ignore_eos=True),
        directive=directive,
    )


def finish(runtime: Runtime, call: Iterable[generation_pb2.GenerateResponse]) -> Answer:
    """Read a `Generate` call to its end."""
    tokens: list[int] = []
    for response in call:
        tokens += response.chunk.token_ids
    trace = runtime.trace_dir / f"{response.complete.request_id}.safetensors"
    kept = load_file(trace)["kept"].long() if trace.exists() else None
    return Answer(tokens, response.complete, kept)


def generate(runtime: Runtime, ids: Sequence[int], new_tokens: int, eviction: Eviction | None = None) -> Answer:
    """One answer."""
    return finish(runtime, runtime.generation.Generate(request(ids, new_tokens, eviction)))


def generate_together(runtime: Runtime, requests: Sequence[generation_pb2.GenerateRequest]) -> list[Answer]:
    """Answers to requests that are sent at once, so that they share batches."""
    calls = [runtime.generation.Generate(item) for item in requests]
    return [finish(runtime, call) for call in calls]


def keeps(answer: Answer, kept: torch.Tensor) -> bool:
    """Whether the plugin evicted, and kept exactly these positions [L, Hkv, K]."""
    return answer.kept is not None and torch.equal(answer.kept, kept)


def assert_same(answer: Answer, expected: tuple[list[int], torch.Tensor | None]) -> None:
    """The answer has the tokens and the kept set of the reference."""
    tokens, kept = expected
    assert answer.kept is None if kept is None else keeps(answer, kept)
    assert answer.tokens == tokens
