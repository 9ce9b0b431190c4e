"""What a field is called to a client, and how it is told that one is wrong."""

import reprlib
from collections.abc import Mapping
from typing import Any

from services.shared.errors import Violation

# what a field of GenerateRequest is called here
NAMES = {
    "sampling.max_new_tokens": "max_tokens",
    "text": "prompt",
    "token_ids": "prompt",
    "request_id": "x-request-id",
    "slo.ttft": "slo.ttft_ms",
    "slo.tpot": "slo.tpot_ms",
}


def field_name(path: str) -> str:
    """What a field of GenerateRequest is called in a body."""
    return NAMES.get(path, path.removeprefix("sampling."))


def violation(error: Mapping[str, Any]) -> Violation:
    """One of pydantic's errors, by the field's path in the body."""
    path = [str(part) for part in error["loc"] if part != "body" and not str(part).startswith("[")]
    match error["type"]:
        case "missing":
            return Violation(".".join(path) or "body", "is missing")
        case "extra_forbidden":
            return Violation(".".join(path), "is not known here; leave it out")
        case "json_invalid":
            return Violation("body", f"is not JSON: {error['ctx']['error']} at character {error['loc'][1]}")
    shown = "" if isinstance(error["input"], Mapping | bytes) else f"{reprlib.repr(error['input'])}: "
    if not path:
        return Violation("body", f"{shown}is no JSON object of this kind; send it as application/json")
    return Violation(".".join(path), f"{shown}{error['msg']}")
