"""`python -m services.runtime.inspection`: the engine's packages and device as JSON, for who has no torch to ask."""

import json
from typing import Any

from services.shared.packages import installed_version

PACKAGES = ("torch", "triton", "sglang")


def inspect_engine() -> dict[str, Any]:
    """Versions, why the hooks do not fit (empty when they do), and the CUDA device if there is one."""
    found: dict[str, Any] = {
        "versions": {name: installed_version(name) for name in PACKAGES},
        "hooks": "",
        "device": None,
    }
    try:
        from services.runtime.backends.sglang.hooks import check_sglang

        check_sglang()
    # whatever its import raises is what was asked for
    except Exception as error:
        found["hooks"] = f"{type(error).__name__}: {error}"
    found["device"] = _device()
    return found


def _device() -> dict[str, Any] | None:
    try:
        import torch
    except ImportError:
        return None
    if not torch.cuda.is_available():
        return None
    free, total = torch.cuda.mem_get_info()
    return {"name": torch.cuda.get_device_name(), "free_bytes": free, "total_bytes": total, "cuda": torch.version.cuda}


if __name__ == "__main__":
    print(json.dumps(inspect_engine()))
