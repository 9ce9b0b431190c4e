"""Tiny random models, and one sample that was examined with each of their parts."""

from dataclasses import dataclass

import pytest
import torch

from scorer.evaluation.examine import Examined, Examiner
from scorer.evaluation.methods import Setting
from scorer.evaluation.methods.base import Protected
from scorer.evaluation.samples import EvalSample
from scorer.training.data.sample import Answer
from tests.unit.scorer.training.conftest import CONFIGS, PROMPT_TOKENS, Case, make_case

WINDOW, ANSWER_TOKENS = 8, 6


@dataclass(frozen=True)
class Bench:
    """A model, what methods are made with, and two examined samples."""

    case: Case
    setting: Setting
    examiner: Examiner
    samples: list[EvalSample]
    examined: list[Examined]


def make_bench(family: str) -> Bench:
    case = make_case(family)
    # the window policy's own width of 32 would be nearly all of the prompt
    config = case.adapter.config.model_copy(
        update={"fusion": case.adapter.config.fusion.model_copy(update={"window_tokens": WINDOW, "recent_tokens": 8})}
    )
    adapter = type(case.adapter).from_tensors(case.adapter.tensors(), _shape(case), config)
    samples = [_sample("0" * 16, case.ids), _sample("1" * 16, case.ids[: PROMPT_TOKENS - 5])]
    examiner = Examiner(case.model, adapter, WINDOW, ANSWER_TOKENS)
    setting = Setting(
        model=case.model,
        adapter=adapter,
        drafter=case.model.frozen,
        protected=Protected(2, WINDOW),
        window_tokens=WINDOW,
        laq_tokens=3,
        answer_tokens=ANSWER_TOKENS,
        seed=0,
        ends=(),
    )
    return Bench(case, setting, examiner, samples, examiner.examine(samples, ANSWER_TOKENS, ()))


def _shape(case: Case):
    from scorer.adapters.shapes import ModelShape

    return ModelShape.from_config(case.hf_model.config.to_dict())


def _sample(key: str, ids: torch.Tensor) -> EvalSample:
    return EvalSample(key, "needle", True, ids, Answer(("right",)), torch.tensor([3, 4, 5]))


@pytest.fixture(scope="module", params=list(CONFIGS))
def bench(request: pytest.FixtureRequest) -> Bench:
    return make_bench(request.param)


@pytest.fixture(scope="module")
def llama() -> Bench:
    return make_bench("llama")
