"""What is compared, and the requests of it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from random import Random

from protos.generation.v1 import generation_pb2
from services.cli.prompts import parse_budget

# a word is a token or two, as the model has it; the report says how many came of it
WORDS = (
    "the river carries old letters past seven quiet mills while nobody counts green lamps along narrow "
    "streets where bread cools before morning and two clocks disagree about what time rain begins"
).split()


@dataclass(frozen=True)
class Case:
    """A policy and a budget; both may be empty, and are then the router's to choose."""

    policy: str
    budget: str

    @property
    def name(self) -> str:
        return " ".join(part for part in (self.policy, self.budget) if part) or "default"


@dataclass(frozen=True)
class Work:
    """One request: which prompt, and under which case."""

    number: int
    case: Case
    request: generation_pb2.GenerateRequest


@dataclass(frozen=True)
class Plan:
    """How many prompts, of how many words, and how long the answers are."""

    prompts: int
    least_words: int
    most_words: int
    new_tokens: int
    seed: int


def cases_of(policies: Sequence[str], budgets: Sequence[str]) -> list[Case]:
    """Each policy with each budget."""
    return [Case(policy, budget) for policy, budget in product(policies or [""], budgets or [""])]


def work_of(plan: Plan, cases: Sequence[Case]) -> Iterator[Work]:
    """Every prompt under every case, one behind the other, so that all cases see the same machine."""
    random = Random(plan.seed)
    for number in range(plan.prompts):
        words = random.randint(plan.least_words, plan.most_words)
        body = " ".join(random.choice(WORDS) for _ in range(words))
        for place, case in enumerate(cases):
            # a first line of its own, so that no case finds another's prompt in the prefix cache
            text = f"Text {number} read {place}.\n{body}"
            yield Work(number, case, _request(text, case, plan.new_tokens))


def _request(text: str, case: Case, new_tokens: int) -> generation_pb2.GenerateRequest:
    tokens, ratio = parse_budget(case.budget)
    return generation_pb2.GenerateRequest(
        text=text,
        # as long an answer for all
        sampling=generation_pb2.SamplingParams(max_new_tokens=new_tokens, temperature=0, ignore_eos=True),
        kv=generation_pb2.KvHint(policy=case.policy, budget_tokens=tokens, keep_ratio=ratio),
    )
