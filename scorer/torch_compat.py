"""What the CPU build of torch needs before transformers imports a model class."""

import importlib.util
import pathlib
import sys

import torch

# the library must outlive its definitions
_declared: list[torch.library.Library] = []


def declare_vision_ops() -> None:
    """Make `import torchvision` work beside a CPU build of torch. Call before the first import of a model class.

    The torchvision wheel carries CUDA binaries that cannot load here, and then fails on two missing op schemas.
    """
    spec = importlib.util.find_spec("torchvision")
    if _declared or spec is None or not spec.submodule_search_locations or "torchvision" in sys.modules:
        return
    binary = next(pathlib.Path(spec.submodule_search_locations[0]).glob("_C*.so"))
    try:
        torch.ops.load_library(str(binary))
    except OSError:
        library = torch.library.Library("torchvision", "DEF")
        for op in ("nms", "qnms"):
            library.define(op + "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        _declared.append(library)
