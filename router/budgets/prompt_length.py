"""The default budget: a share of the prompt, by its length."""

from dataclasses import dataclass

from router.budgets.base import BudgetRequest


@dataclass(frozen=True)
class PromptLengthRule:
    """What the tenant's buckets say, else its default ratio. A default, so a hint of the client replaces it."""

    def cap(self, request: BudgetRequest) -> int | None:
        """Never less than for a shorter prompt; None when the client has a wish."""
        if request.hinted:
            return None
        limits, prompt_tokens = request.limits, request.prompt_tokens
        passed = [bucket for bucket in limits.length_buckets if bucket.max_prompt_tokens < prompt_tokens]
        # at its end a bucket may give more than the next one at its beginning
        caps = [bucket.tokens(bucket.max_prompt_tokens) for bucket in passed]
        if len(passed) < len(limits.length_buckets):
            caps.append(limits.length_buckets[len(passed)].tokens(prompt_tokens))
        else:
            caps.append(int(limits.default_keep_ratio * prompt_tokens))
        return max(1, *caps)
