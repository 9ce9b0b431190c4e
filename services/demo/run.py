"""Sends the demo's prompt under each policy and shows the answers as they come."""

from pathlib import Path

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.text import Text

from protos.generation.v1 import generation_pb2
from scorer.policies import FULL
from services.demo.client import ask
from services.demo.prompt import Prompt, build_prompt
from services.demo.results import Plan, Row, to_row
from services.local.adapters import scores_from_registry
from services.local.stack import Stack, local_channel


def run_policies(plan: Plan, stack: Stack, model_path: Path, console: Console) -> list[Row]:
    """A row for each policy, one request after the other. Raises grpc.RpcError or NoAnswer when one fails."""
    rows = []
    with local_channel(stack.router) as channel, local_channel(stack.runtime) as runtime:
        for number, policy in enumerate(plan.policies, start=1):
            prompt = build_prompt(model_path, number)
            with _Screen(policy, prompt, plan.new_tokens, console) as screen:
                answer = ask(channel, _request(plan, policy, prompt), screen.show)
            held = stack.adapter if stack.adapter and scores_from_registry(runtime, stack.adapter) else None
            rows.append(to_row(policy, answer, prompt.read(answer.token_ids), held))
    return rows


def _request(plan: Plan, policy: str, prompt: Prompt) -> generation_pb2.GenerateRequest:
    sampling = generation_pb2.SamplingParams(max_new_tokens=plan.new_tokens, temperature=0, ignore_eos=True)
    budget = None if policy == FULL else plan.budget_tokens
    kv = generation_pb2.KvHint(policy=policy, budget_tokens=budget)
    return generation_pb2.GenerateRequest(text=prompt.text, sampling=sampling, kv=kv)


class _Screen:
    """The answer so far, over a bar of the tokens that came."""

    def __init__(self, policy: str, prompt: Prompt, new_tokens: int, console: Console) -> None:
        columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
        self._policy = policy
        self._prompt = prompt
        self._progress = Progress(*columns, TextColumn("tokens"), TimeElapsedColumn())
        self._task = self._progress.add_task("reading the prompt", total=new_tokens)
        self._live = Live(self._render(""), console=console)

    def __enter__(self) -> "_Screen":
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()
        self._live.console.line()

    def show(self, token_ids: list[int]) -> None:
        """Show all tokens so far."""
        over = self._prompt.end_token_id in token_ids
        doing = "going on past the answer, to measure decoding" if over else "answering"
        self._progress.update(self._task, completed=len(token_ids), description=doing)
        self._live.update(self._render(self._prompt.read(token_ids)))

    def _render(self, answer: str) -> Group:
        return Group(Text.assemble((f"{self._policy}: ", "bold"), answer), self._progress)
