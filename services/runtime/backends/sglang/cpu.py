"""SGLang platform plugin for machines without a GPU: every op runs as plain torch.

Entry point `sglang.srt.platforms`; SGLang loads it in each of its processes.
"""

import torch

from scorer.torch_compat import declare_vision_ops as declare_vision_ops

_PLATFORM = "services.runtime.backends.sglang.cpu_platform:CpuPlatform"


def activate() -> str | None:
    """The platform class for SGLang, or None on a machine with a GPU."""
    if torch.cuda.is_available():
        return None
    declare_vision_ops()
    return _PLATFORM
