"""What the plugin does to a request that SGLang takes out of the batch."""

from array import array
from types import SimpleNamespace

import pytest
import torch

from services.runtime.backends.sglang.request_state import (
    PARAMS_KEY,
    delta_tokens,
    put_back,
    set_answer_aside,
    state_of,
)
from services.runtime.eviction import EvictionPlan

PLAN = EvictionPlan("window", {"pool_width": 7}, budget_tokens=64, sink_tokens=4, recent_tokens=32)


def make_request(params):
    """A request of SGLang, as far as the plugin looks at it."""
    return SimpleNamespace(
        sampling_params=SimpleNamespace(custom_params=params),
        output_ids=array("q", [5, 6, 7]),
        full_untruncated_fill_ids=array("q", [1, 2, 5, 6, 7]),
        skip_radix_cache_insert=True,
    )


def planned(req):
    state = state_of(req)
    assert state is not None
    return state


@pytest.fixture
def compacted():
    req = make_request({PARAMS_KEY: PLAN.to_params()})
    state = planned(req)
    state.kept, state.settled, state.delta_tokens = torch.zeros(1, 1, 64), True, 100
    return req


def test_plan_arrives_through_the_request_parameters():
    assert planned(make_request({PARAMS_KEY: PLAN.to_params()})).plan == PLAN


@pytest.mark.parametrize("params", [None, {}, {"another_plugin": 1}])
def test_request_without_a_plan_has_no_state_and_no_offset(params):
    req = make_request(params)
    assert state_of(req) is None
    assert delta_tokens(req) == 0


def test_retracted_request_may_enter_the_prefix_cache_and_counts_from_its_true_length_again(compacted):
    assert delta_tokens(compacted) == 100
    put_back(compacted)
    assert delta_tokens(compacted) == 0
    assert not compacted.skip_radix_cache_insert


def test_answer_is_set_aside_once_before_the_new_prefill(compacted):
    put_back(compacted)
    set_answer_aside(compacted)
    set_answer_aside(compacted)
    assert planned(compacted).replay == array("q", [5, 6, 7])
    assert not compacted.output_ids
    assert not compacted.full_untruncated_fill_ids


def test_answer_of_a_request_in_the_batch_is_left_alone(compacted):
    set_answer_aside(compacted)
    assert list(compacted.output_ids) == [5, 6, 7]


def test_request_that_stayed_whole_is_left_to_sglang():
    req = make_request({PARAMS_KEY: PLAN.to_params()})
    planned(req).settled = True
    put_back(req)
    set_answer_aside(req)
    assert list(req.output_ids) == [5, 6, 7]
    assert req.skip_radix_cache_insert
