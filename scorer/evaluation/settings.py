"""What an evaluation is made with; its results are a function of these, the data, the model and the adapter."""

from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from scorer.evaluation.budgets import Budget
from scorer.evaluation.methods import METHODS

# what a run measures unless told otherwise
BUDGETS = ("64", "128", "256", "512", "5%", "10%", "20%", "40%")
BUDGETS_HELP = f"like 20% or 128, may be repeated; without one {', '.join(BUDGETS)}"


def _budgets(labels: tuple[str, ...]) -> tuple[str, ...]:
    for label in labels:
        Budget(label)
    return tuple(dict.fromkeys(labels))


def _methods(names: tuple[str, ...]) -> tuple[str, ...]:
    unknown = [name for name in names if name not in METHODS]
    if unknown:
        raise ValueError(f"{', '.join(unknown)}: not known; choose from {', '.join(METHODS)}")
    return tuple(dict.fromkeys(names))


class EvalSettings(BaseModel):
    """Of a run; a run that goes on must have the same."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    methods: Annotated[tuple[str, ...], AfterValidator(_methods)]
    budgets: Annotated[tuple[str, ...], AfterValidator(_budgets)] = ("20%",)
    accuracy_budgets: Annotated[tuple[str, ...], AfterValidator(_budgets)] = Field(
        ("20%",), description="where answers are also decoded and graded, which takes longest"
    )
    response_tokens: int = Field(32, ge=1, le=4096, description="longest part of full KV's answer that is compared to")
    sink_tokens: int = Field(4, ge=0)
    recent_tokens: int = Field(32, ge=0)
    draft_tokens: int = Field(8, ge=1, le=1024, description="of LAQ; its authors have 8")
    seed: int = Field(0, ge=0, lt=2**63, description="of the random method")

    @model_validator(mode="after")
    def _asks_for_something(self) -> Self:
        if not self.methods or not self.budgets:
            raise ValueError("methods, budgets: both must name at least one")
        return self
