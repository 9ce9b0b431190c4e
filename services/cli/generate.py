"""`lookaheadkv generate`: one prompt, its answer as it comes, and what became of its KV cache."""

import os
import sys
from pathlib import Path
from typing import Annotated

import grpc
import typer
from rich.console import Console

from protos.generation.v1 import generation_pb2, generation_pb2_grpc
from router.cli.remote import ApiKey, CaFile, Router, caller, open_channel
from services.cli.prompts import parse_budget, read_prompt
from services.cli.report import answer_value, report_table
from services.cli.rpc_errors import sentence_of
from services.shared.cli.output import tell
from services.shared.cli.running import Refused, refusals
from services.shared.durations import to_duration

Prompt = Annotated[str | None, typer.Argument(help="The prompt; `-` reads it from stdin.")]
File = Annotated[Path | None, typer.Option("--file", help="A file with the prompt.")]
Policy = Annotated[str, typer.Option(help="What scores: full, window, lookahead, fused, ...")]
Budget = Annotated[str, typer.Option(help="What to keep of the prompt: tokens, as 2048, or a share, as 20%.")]
Mass = Annotated[float | None, typer.Option(help="Keep the fewest tokens with this share of the attention.")]
Adapter = Annotated[str, typer.Option(help="Alias of the adapter that scores.")]
SplitKey = Annotated[str, typer.Option(help="Requests with one key stay with one alias.")]
Ttft = Annotated[float | None, typer.Option(help="Seconds until the first token, at most.")]
Tpot = Annotated[float | None, typer.Option(help="Seconds for each further token, at most.")]
NewTokens = Annotated[int | None, typer.Option("--max-new-tokens", help="Length of the answer, at most.")]
Temperature = Annotated[float | None, typer.Option(help="0 takes the likeliest token.")]
Stop = Annotated[list[str] | None, typer.Option(help="Text at which the answer ends; may be given more than once.")]
Timeout = Annotated[float | None, typer.Option(help="Seconds for the whole answer.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print answer and report as one JSON object at the end.")]


def generate(
    prompt: Prompt = None,
    file: File = None,
    policy: Policy = "",
    budget: Budget = "",
    min_retained_mass: Mass = None,
    adapter: Adapter = "",
    split_key: SplitKey = "",
    ttft: Ttft = None,
    tpot: Tpot = None,
    max_new_tokens: NewTokens = None,
    temperature: Temperature = None,
    stop: Stop = None,
    timeout: Timeout = None,
    router: Router = "127.0.0.1:50050",
    api_key: ApiKey = "",
    ca_file: CaFile = None,
    as_json: AsJson = False,
) -> None:
    """Send a prompt to a router or a runtime; the answer goes to stdout, the report to stderr."""
    with refusals(interrupted="stopped; the request is cancelled"):
        tokens, ratio = parse_budget(budget)
        hint = generation_pb2.KvHint(
            policy=policy,
            budget_tokens=tokens,
            keep_ratio=ratio,
            adapter=adapter,
            split_key=split_key,
            min_retained_mass=min_retained_mass,
        )
        sampling = generation_pb2.SamplingParams(max_new_tokens=max_new_tokens, temperature=temperature, stop=stop)
        slo = generation_pb2.Slo(
            ttft=None if ttft is None else to_duration(ttft), tpot=None if tpot is None else to_duration(tpot)
        )
        text = read_prompt(prompt, file)
        request = generation_pb2.GenerateRequest(text=text, sampling=sampling, kv=hint, slo=slo)
        with open_channel(router, ca_file) as channel:
            answer, complete = _stream(channel, request, router, caller(api_key), timeout, show=not as_json)
    if as_json:
        tell(answer_value(answer, complete), True, str)
    else:
        Console(stderr=True, highlight=False).print(report_table(complete))


def _stream(
    channel: grpc.Channel,
    request: generation_pb2.GenerateRequest,
    target: str,
    metadata: tuple[tuple[str, str], ...],
    timeout: float | None,
    show: bool,
) -> tuple[str, generation_pb2.GenerateComplete]:
    """The answer's text and its last message. Raises Refused."""
    call = generation_pb2_grpc.GenerationServiceStub(channel).Generate(request, timeout=timeout, metadata=metadata)
    pieces: list[str] = []
    try:
        for response in call:
            if response.HasField("complete"):
                _write("\n", show)
                return "".join(pieces), response.complete
            pieces.append(response.chunk.text)
            _write(response.chunk.text, show)
    except grpc.RpcError as error:
        _write("\n" if pieces else "", show)
        raise Refused(sentence_of(error, target)) from error
    finally:
        call.cancel()
    raise Refused(f"{target} ended the answer without a report; look at its log")


def _write(text: str, show: bool) -> None:
    if not show or not text:
        return
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        # who reads has enough; without this Python would complain when it closes the pipe
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(0) from None
