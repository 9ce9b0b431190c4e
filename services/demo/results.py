"""What the demo shows and claims: a row for each policy, and what must hold for it."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from rich.table import Table

from scorer.adapters.store_values import DEFAULT_ALIAS, VersionId
from scorer.policies import ADAPTER_POLICIES, FULL
from scorer.registry.names import version_name
from scorer.reports import Report
from services.demo.client import Answer
from services.demo.prompt import EXPECTED, QUESTION

# the whole cache, the best-known heuristic, the paper's method, and ours
POLICIES = (FULL, "window", "lookahead", "fused")
CAPTION = (
    "One request after the other, each with a first line of its own, so that neither finds the other's prompt in the "
    "prefix cache. Free slots are KV tokens, counted by the engine's allocator just before and after the eviction. "
    "TTFT and tokens/s (after the first) are the client's, through the router."
)
# an evicting policy keeps less than this share of the prompt
MAX_KEPT_RATIO = 0.2


@dataclass(frozen=True)
class Plan:
    """What to run. `new_tokens` go on past the end of the answer, so that the rate of decoding means something."""

    policies: Sequence[str]
    budget_tokens: int
    new_tokens: int


@dataclass(frozen=True)
class Row:
    """One policy's run. Slots are KV tokens, counted by the engine's allocator around the eviction."""

    policy: str
    prompt_tokens: int
    kept_tokens: int
    free_slots_before: int
    free_slots_after: int
    freed_slots: int
    served_policy: str  # another one where the runtime had to degrade
    adapter: str
    adapter_alias: str
    registry_version: str  # the resource name of that adapter, when the engine has it from the registry
    scoring_ms: float
    ttft_ms: float
    decode_tokens_per_s: float
    cached_tokens: int
    answer: str


def to_row(policy: str, answer: Answer, text: str, registered: VersionId | None) -> Row:
    """The row of a run under `policy`, which is what was asked for; the report says what was done.

    `registered` is what the runtime has from the registry.
    """
    kv = answer.complete.kv
    scored = (kv.adapter, kv.adapter_version, kv.adapter_alias)
    from_registry = registered and scored == (registered.adapter.name, registered.number, DEFAULT_ALIAS)
    return Row(
        policy=policy,
        prompt_tokens=kv.prompt_tokens,
        kept_tokens=kv.kept_tokens,
        free_slots_before=kv.free_slots_before,
        free_slots_after=kv.free_slots_after,
        freed_slots=kv.free_slots_after - kv.free_slots_before,
        served_policy=kv.policy,
        adapter=f"{kv.adapter} {kv.adapter_version}" if kv.adapter else "",
        adapter_alias=kv.adapter_alias,
        registry_version=version_name(registered) if registered and from_registry else "",
        scoring_ms=round(kv.scoring_time.ToTimedelta().total_seconds() * 1000, 1),
        ttft_ms=round(answer.ttft_seconds * 1000, 1),
        decode_tokens_per_s=round(answer.decode_tokens_per_s, 2),
        cached_tokens=answer.complete.usage.cached_tokens,
        answer=text,
    )


def failures(row: Row) -> list[str]:
    """A sentence for each claim that does not hold."""
    found = []
    if EXPECTED not in row.answer:
        found.append(f"{row.policy}: the answer does not contain {EXPECTED!r}")
    if row.served_policy != row.policy:
        found.append(f"{row.policy}: {row.served_policy} was served instead")
    if row.policy in ADAPTER_POLICIES and not row.registry_version:
        found.append(f"{row.policy}: {row.adapter or 'no adapter'} scored, not the version in the registry")
    if row.policy != FULL and row.kept_tokens >= MAX_KEPT_RATIO * row.prompt_tokens:
        found.append(
            f"{row.policy}: kept {row.kept_tokens} of {row.prompt_tokens} tokens, {MAX_KEPT_RATIO:.0%} or more"
        )
    if row.freed_slots != row.prompt_tokens - row.kept_tokens:
        missing = row.prompt_tokens - row.kept_tokens
        found.append(f"{row.policy}: the allocator has {row.freed_slots} more free slots instead of {missing}")
    return found


def to_table(rows: Sequence[Row], caption: str) -> Table:
    """The rows for a terminal, a column for each policy."""
    table = Table("", caption=caption, caption_justify="left")
    for row in rows:
        table.add_column(row.policy, ratio=1, overflow="fold")
    table.add_row("prompt tokens", *(f"{row.prompt_tokens:,}" for row in rows))
    table.add_row("kept tokens", *(f"{row.kept_tokens:,} ({row.kept_tokens / row.prompt_tokens:.1%})" for row in rows))
    table.add_row("freed tokens", *(f"{row.freed_slots:,}" for row in rows))
    table.add_row("free slots", *map(_slots, rows))
    table.add_row("from the prefix cache", *(f"{row.cached_tokens:,} tokens" for row in rows))
    table.add_row("adapter", *map(_adapter, rows))
    table.add_row("scoring", *(f"{row.scoring_ms:.0f} ms" if row.scoring_ms else "none" for row in rows))
    table.add_row("TTFT", *(f"{row.ttft_ms / 1000:.1f} s" for row in rows))
    table.add_row("decode", *(f"{row.decode_tokens_per_s:.1f} tokens/s" for row in rows))
    table.add_row("answer", *(row.answer for row in rows))
    return table


def _adapter(row: Row) -> str:
    alias = f", alias {row.adapter_alias}" if row.adapter_alias else ""
    return f"{row.adapter}{alias}{', from the registry' if row.registry_version else ''}" if row.adapter else "none"


def _slots(row: Row) -> str:
    return f"{row.free_slots_before:,} → {row.free_slots_after:,}" if row.free_slots_after else "nothing evicted"


def to_report(rows: Sequence[Row], model: str, plan: Plan) -> Report:
    """The rows with what they have in common."""
    settings = {
        "model": model,
        "question": QUESTION,
        "expected": EXPECTED,
        "budget_tokens": plan.budget_tokens,
        "new_tokens": plan.new_tokens,
        "temperature": 0,
    }
    return Report("demo", settings, [asdict(row) for row in rows], CAPTION)
