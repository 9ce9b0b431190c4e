"""Our extension of OpenAI's bodies: what is to be kept, and how fast the answer is to come."""

from typing import Annotated

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from router.http.base import Body, Int32, Text
from services.shared.generation import MAX_SLO_SECONDS

Milliseconds = Annotated[float, Field(gt=0, le=1000 * MAX_SLO_SECONDS)]


class KvOptions(Body):
    """What is to be kept of the prompt's KV. The tenant's limits may give more or less; the answer says why."""

    policy: Text = Field("", description="empty: the router's")
    budget_tokens: Int32 | None = Field(None, description="KV tokens kept per layer and KV head")
    keep_ratio: float | None = Field(None, description="the same as a share of the prompt")
    adapter: Text = Field("", description="alias of the adapter that scores; empty: `default`")
    split_key: Text = Field("", description="requests with one key are scored by one alias; empty: `user`")
    min_retained_mass: float | None = Field(None, description="the fewest tokens that hold so much are kept")

    @model_validator(mode="after")
    def _check_one_budget(self) -> "KvOptions":
        if self.budget_tokens is not None and self.keep_ratio is not None:
            raise PydanticCustomError("two_budgets", "has budget_tokens and keep_ratio; choose one of them")
        return self


class SloOptions(Body):
    """How fast the answer is to come; also as headers `x-slo-ttft-ms` and `x-slo-tpot-ms`. Absent: the tenant's."""

    ttft_ms: Milliseconds | None = Field(None, description="until the first token")
    tpot_ms: Milliseconds | None = Field(None, description="for each token behind it, on average")
