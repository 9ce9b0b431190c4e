"""The hyper-parameters of a training run; what is not published is explained in the field."""

from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from scorer.training.objectives import OBJECTIVES

Ratio = Annotated[float, Field(gt=0, lt=1)]


def _known(name: str) -> str:
    if name not in OBJECTIVES:
        raise ValueError(f"{name!r} is not known; choose from {', '.join(OBJECTIVES)}")
    return name


class TrainingSettings(BaseModel):
    """AdamW without weight decay, warm-up, cosine to 0. A run is a function of these, the data and the model."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    objective: Annotated[str, AfterValidator(_known)] = "fused_max"
    reference_answers: bool = Field(True, description="where the data have one, what it looks at is asked for too")
    steps: int = Field(100, ge=1, description="optimiser steps; the cosine ends with the last")
    batch_samples: int = Field(8, ge=1, description="samples a step, one after the other; the paper has 32")
    learning_rate: float = Field(2e-3, gt=0, allow_inf_nan=False, description="for 135M models; the paper's 1B: 1e-3")
    warmup_steps: int = Field(5, ge=0)
    clip_norm: float = Field(1.0, gt=0, description="largest norm of the gradient of all tensors together")
    seed: int = Field(0, ge=0, lt=2**63, description="of the adapter's start and the order of samples")
    max_response_tokens: int = Field(128, ge=1, le=4096, description="longest response; the paper has 512")
    sink_tokens: int = Field(4, ge=0, description="first tokens, always kept")
    recent_tokens: int = Field(32, ge=0, description="last tokens, always kept")
    window_tokens: int = Field(32, ge=1, description="rows of the window that validation compares to")
    budget_ratios: tuple[Ratio, ...] = Field((0.1, 0.2, 0.4), description="shares of the evictable tokens to keep")

    @model_validator(mode="after")
    def _warms_up_before_the_end(self) -> Self:
        if self.warmup_steps >= self.steps and self.steps > 1:
            raise ValueError(f"warmup_steps: {self.warmup_steps} must be less than steps = {self.steps}")
        return self


def problems(error: ValidationError) -> str:
    """Each wrong field and what is wrong with it, in one line."""
    found = error.errors(include_url=False)
    return "; ".join(": ".join([*filter(None, [".".join(map(str, each["loc"]))]), each["msg"]]) for each in found)
