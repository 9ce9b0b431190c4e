"""From a GGUF file to a model folder in Hugging Face layout."""

import contextlib
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

# part of the cache's key: raise it whenever the files that come out change
CONVERTER_VERSION = 1
STEPS = 4


def convert_gguf(gguf: Path, folder: Path, dtype: str, step: Callable[[str], None]) -> None:
    """Write the model in `gguf` to `folder` as safetensors of `dtype`, with tokenizer and chat template.

    Calls `step` with a few words before each of STEPS parts of the work. The same input gives the same files.
    """
    # seconds of imports, which a cached model does not need
    from services.runtime.backends.sglang.cpu import declare_vision_ops

    declare_vision_ops()
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from transformers.utils import logging

    logging.disable_progress_bar()
    step("reading the tokenizer")
    tokenizer = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
    step("unpacking the weights")
    # its own progress bar on stderr has no switch
    with contextlib.redirect_stderr(io.StringIO()):
        loaded = AutoModelForCausalLM.from_pretrained(gguf.parent, gguf_file=gguf.name, dtype=torch.float32)
    step(f"rounding to {dtype}")
    model = _fresh_llama(loaded, dtype)
    step("writing the folder")
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def _fresh_llama(loaded: Any, dtype: str) -> Any:
    # a model that was loaded from GGUF counts as quantized, and save_pretrained refuses those
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    config = loaded.config.to_dict()
    for name in ("quantization_config", "_name_or_path", "_model_name_or_path"):
        config.pop(name, None)
    config |= {"architectures": ["LlamaForCausalLM"], "dtype": dtype}
    model = LlamaForCausalLM(LlamaConfig(**config)).to(getattr(torch, dtype))
    model.load_state_dict(loaded.state_dict())
    model.tie_weights()
    return model
