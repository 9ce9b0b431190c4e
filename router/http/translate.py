"""From a body to the request that the router's core knows."""

from collections.abc import Sequence

from google.protobuf.duration_pb2 import Duration

from protos.generation.v1 import generation_pb2
from router.http.exchange import REQUEST_ID_HEADER, Exchange
from router.http.options import KvOptions, SloOptions
from router.http.requests import Request
from services.shared.durations import to_duration
from services.shared.errors import InvalidArgument, Violation

TTFT_HEADER = "x-slo-ttft-ms"
TPOT_HEADER = "x-slo-tpot-ms"
# what engines understand as "all tokens"
NO_TOP_K = (0, -1)


def to_generate(
    body: Request, prompt: str | Sequence[int], max_new_tokens: int, exchange: Exchange
) -> generation_pb2.GenerateRequest:
    """The request with this prompt, as text or token ids. Raises InvalidArgument for a header that is wrong."""
    request = generation_pb2.GenerateRequest(
        request_id=_request_id(exchange),
        model=body.model,
        sampling=_sampling(body, max_new_tokens),
        kv=_kv(body.kv, body.user),
        slo=_slo(body.slo, exchange),
    )
    if isinstance(prompt, str):
        request.text = prompt
    else:
        # filled in place, because a message that is passed in is copied
        request.token_ids.SetInParent()
        request.token_ids.ids.extend(prompt)
    return request


def _request_id(exchange: Exchange) -> str:
    if not exchange.request_id.isascii():
        raise InvalidArgument(Violation(REQUEST_ID_HEADER, "may hold only letters, digits, '.', '_' and '-'"))
    return exchange.request_id


def _sampling(body: Request, max_new_tokens: int) -> generation_pb2.SamplingParams:
    stop = [body.stop] if isinstance(body.stop, str) else body.stop or []
    return generation_pb2.SamplingParams(
        max_new_tokens=max_new_tokens,
        temperature=body.temperature,
        top_p=body.top_p,
        top_k=None if body.top_k in NO_TOP_K else body.top_k,
        min_p=body.min_p,
        stop=stop,
        stop_token_ids=body.stop_token_ids,
        ignore_eos=body.ignore_eos,
    )


def _kv(options: KvOptions, user: str) -> generation_pb2.KvHint:
    return generation_pb2.KvHint(
        policy=options.policy,
        budget_tokens=options.budget_tokens,
        keep_ratio=options.keep_ratio,
        adapter=options.adapter,
        split_key=options.split_key or user,
        min_retained_mass=options.min_retained_mass,
    )


def _slo(options: SloOptions, exchange: Exchange) -> generation_pb2.Slo:
    return generation_pb2.Slo(
        ttft=_duration(options.ttft_ms, TTFT_HEADER, exchange),
        tpot=_duration(options.tpot_ms, TPOT_HEADER, exchange),
    )


def _duration(milliseconds: float | None, header: str, exchange: Exchange) -> Duration | None:
    """The body's, else the header's."""
    asked = exchange.milliseconds(header) if milliseconds is None else milliseconds
    return None if asked is None else to_duration(asked / 1000)
