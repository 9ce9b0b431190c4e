"""An answer's report, as people and as programs read it."""

from typing import Any

from google.protobuf.json_format import MessageToDict
from rich.markup import escape
from rich.table import Table

from protos.generation.v1 import generation_pb2
from services.shared.cli.output import table_of
from services.shared.durations import to_seconds

FINISH = {number: name.removeprefix("FINISH_REASON_").lower() for name, number in generation_pb2.FinishReason.items()}


def answer_value(text: str, complete: generation_pb2.GenerateComplete) -> dict[str, Any]:
    """All of it."""
    told: dict[str, Any] = MessageToDict(complete, preserving_proto_field_name=True)
    return {"text": text, **told}


def report_table(complete: generation_pb2.GenerateComplete) -> Table:
    """What was kept, why, and how long it took."""
    kv, usage, decision = complete.kv, complete.usage, complete.decision
    table = table_of("", "")
    share = f" ({kv.kept_tokens / kv.prompt_tokens:.1%})" if kv.prompt_tokens else ""
    rows = {
        "policy": kv.policy,
        "adapter": f"{kv.adapter} {kv.adapter_version} ({kv.adapter_alias})" if kv.adapter else "",
        "prompt": f"{kv.prompt_tokens} tokens, {usage.cached_tokens} of them cached",
        "kept": f"{kv.kept_tokens} tokens{share}, {kv.freed_tokens} freed",
        "retained mass": f"{kv.retained_mass:.3f}" if kv.HasField("retained_mass") else "",
        "answer": f"{usage.completion_tokens} tokens, {FINISH[complete.finish_reason]}",
        "time to first token": f"{to_seconds(kv.ttft):.3f} s",
        "scoring": f"{1000 * to_seconds(kv.scoring_time):.1f} ms" if kv.freed_tokens else "",
        "tenant": decision.tenant,
        "rule": decision.rule,
        "why": "\n".join(kv.reasons),
    }
    for name, value in rows.items():
        if value:
            # a reason may have brackets, which rich would take for styles
            table.add_row(name, escape(value))
    return table
