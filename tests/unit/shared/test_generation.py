"""A request is parsed and checked before anything is spent on it; every wrong field is named."""

import math

import pytest
from google.protobuf.message import DecodeError
from hypothesis import given
from hypothesis import strategies as st

from protos.generation.v1 import generation_pb2 as pb
from services.shared.errors import InvalidArgument, NotFound
from services.shared.generation import Directive, GenerateCall, Hint, ModelLimits, Sampling, check_fits, parse_generate

LIMITS = ModelLimits("tiny", context_tokens=100, vocab_size=50, policies=("full", "window"))


def wrong_fields(request: pb.GenerateRequest) -> list[str]:
    with pytest.raises(InvalidArgument) as raised:
        parse_generate(request)
    return [violation.field for violation in raised.value.violations]


def test_unset_fields_get_their_defaults():
    call = parse_generate(pb.GenerateRequest(text="hello"))
    assert (call.text, call.token_ids, call.model) == ("hello", None, "")
    assert (call.sampling, call.kv, call.directive) == (Sampling(), Hint(), None)


def test_server_chooses_a_request_id_when_there_is_none():
    first, second = (parse_generate(pb.GenerateRequest(text="x")).request_id for _ in range(2))
    assert first and first != second


def test_every_field_arrives():
    request = pb.GenerateRequest(
        request_id="my-id_1.2",
        model="tiny",
        token_ids=pb.TokenIds(ids=[1, 2]),
        sampling=pb.SamplingParams(
            max_new_tokens=5,
            temperature=0,
            top_p=0.5,
            top_k=3,
            min_p=0.1,
            stop=["a", "b"],
            stop_token_ids=[7],
            ignore_eos=True,
        ),
        kv=pb.KvHint(policy="window", keep_ratio=0.5, min_retained_mass=0.9),
        directive=pb.KvDirective(
            policy="window", budget_tokens=9, sink_tokens=0, recent_tokens=1, reasons=["r"], min_retained_mass=0.75
        ),
    )
    assert parse_generate(request) == GenerateCall(
        request_id="my-id_1.2",
        model="tiny",
        token_ids=(1, 2),
        sampling=Sampling(
            max_new_tokens=5,
            temperature=0,
            top_p=0.5,
            top_k=3,
            min_p=0.1,
            stop=("a", "b"),
            stop_token_ids=(7,),
            ignore_eos=True,
        ),
        kv=Hint(policy="window", keep_ratio=0.5, min_retained_mass=0.9),
        directive=Directive(
            policy="window", budget_tokens=9, sink_tokens=0, recent_tokens=1, reasons=("r",), min_retained_mass=0.75
        ),
    )


def test_empty_directive_is_a_directive():
    request = pb.GenerateRequest(text="x")
    request.directive.SetInParent()
    assert parse_generate(request).directive == Directive()


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        (pb.GenerateRequest(), "prompt"),
        (pb.GenerateRequest(text=""), "text"),
        (pb.GenerateRequest(token_ids=pb.TokenIds()), "token_ids"),
        (pb.GenerateRequest(text="x", request_id="a/b"), "request_id"),
        (pb.GenerateRequest(text="x", request_id="a" * 129), "request_id"),
        (pb.GenerateRequest(text="x", request_id="a\n"), "request_id"),
        (pb.GenerateRequest(text="x", kv=pb.KvHint(budget_tokens=0)), "kv.budget_tokens"),
        (pb.GenerateRequest(text="x", kv=pb.KvHint(budget_tokens=-1)), "kv.budget_tokens"),
        (pb.GenerateRequest(text="x", directive=pb.KvDirective(sink_tokens=-1)), "directive.sink_tokens"),
    ],
)
def test_wrong_field_is_named(request_, field):
    assert wrong_fields(request_) == [field]


@pytest.mark.parametrize("ratio", [0.0, -0.5, 1.01, math.nan, math.inf, -math.inf])
def test_keep_ratio_lies_in_0_to_1_and_is_a_number(ratio):
    assert wrong_fields(pb.GenerateRequest(text="x", kv=pb.KvHint(keep_ratio=ratio))) == ["kv.keep_ratio"]


@pytest.mark.parametrize("mass", [0.0, -0.5, 1.01, math.nan, math.inf, -math.inf])
def test_retained_mass_lies_in_0_to_1_and_is_a_number(mass):
    hint, directive = pb.KvHint(min_retained_mass=mass), pb.KvDirective(min_retained_mass=mass)
    assert wrong_fields(pb.GenerateRequest(text="x", kv=hint)) == ["kv.min_retained_mass"]
    assert wrong_fields(pb.GenerateRequest(text="x", directive=directive)) == ["directive.min_retained_mass"]


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("max_new_tokens", [0, -1]),
        ("temperature", [-0.1, 11, math.nan, math.inf]),
        ("top_p", [0, 1.1, math.nan]),
        ("top_k", [0, -1]),
        ("min_p", [-0.1, 1.1, math.nan]),
        ("stop", [[""], ["x" * 257], ["x"] * 17]),
        ("stop_token_ids", [[1] * 17]),
    ],
)
def test_sampling_outside_its_range_is_named(name, values):
    for value in values:
        fields = wrong_fields(pb.GenerateRequest(text="x", sampling=pb.SamplingParams(**{name: value})))
        assert [field.removesuffix(".0") for field in fields] == [f"sampling.{name}"], value


def test_every_wrong_field_is_named_at_once():
    request = pb.GenerateRequest(
        text="x", request_id="/", sampling=pb.SamplingParams(top_p=2), kv=pb.KvHint(keep_ratio=2)
    )
    assert sorted(wrong_fields(request)) == ["kv.keep_ratio", "request_id", "sampling.top_p"]


def test_long_wrong_value_is_not_sent_back_whole():
    with pytest.raises(InvalidArgument) as raised:
        parse_generate(pb.GenerateRequest(text="x", request_id="/" * 5000))
    assert len(str(raised.value)) < 300


@given(st.binary(max_size=200))
def test_any_bytes_that_decode_are_parsed_or_refused(body):
    request = pb.GenerateRequest()
    try:
        request.MergeFromString(body)
    except DecodeError:
        return
    try:
        assert isinstance(parse_generate(request), GenerateCall)
    except InvalidArgument as error:
        assert error.violations


def call(**fields) -> GenerateCall:
    return GenerateCall(text="x", **fields)


@pytest.mark.parametrize("model", ["", "tiny"])
def test_model_is_served_by_its_name_or_without_one(model):
    check_fits(call(model=model, sampling=Sampling(max_new_tokens=97)), [1, 2, 3], LIMITS)


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"model": "other"}, "model: 'other' is not here; known: tiny"),
        ({"kv": Hint(policy="best")}, "kv.policy: 'best' is not here; known: full, window"),
        ({"directive": Directive(policy="best")}, "policy: 'best' is not here"),
    ],
)
def test_what_is_not_here_is_not_found(fields, sentence):
    with pytest.raises(NotFound, match=sentence):
        check_fits(call(**fields), [1], LIMITS)


@pytest.mark.parametrize(
    ("fields", "ids", "field"),
    [
        ({}, [], "text"),
        ({}, [1, 50], "token_ids"),
        ({"sampling": Sampling(stop_token_ids=(50,), max_new_tokens=1)}, [1], "sampling.stop_token_ids"),
        ({"sampling": Sampling(max_new_tokens=98)}, [1, 2, 3], "sampling.max_new_tokens"),
    ],
)
def test_what_does_not_fit_the_model_is_named(fields, ids, field):
    with pytest.raises(InvalidArgument) as raised:
        check_fits(call(**{"sampling": Sampling(max_new_tokens=1)} | fields), ids, LIMITS)
    assert [violation.field for violation in raised.value.violations] == [field]
