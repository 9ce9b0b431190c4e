"""How much memory this machine, or this container, has left."""

from pathlib import Path

GIB = 1 << 30
# the engine's processes and Valkey, beside the weights
BESIDE_WEIGHTS = 2 * GIB
MEMINFO = Path("/proc/meminfo")
CGROUP = Path("/sys/fs/cgroup")
CUDA_DEVICE = Path("/dev/nvidiactl")


def available_bytes() -> int:
    """What new processes can use without others being killed; 0 when the system does not say."""
    lines = MEMINFO.read_text().splitlines() if MEMINFO.exists() else []
    found = [1024 * int(line.split()[1]) for line in lines if line.startswith("MemAvailable:")]
    limit, used = _number(CGROUP / "memory.max"), _number(CGROUP / "memory.current")
    if limit is not None and used is not None:
        found.append(max(0, limit - used))
    return min(found, default=0)


def memory_problem(weights_bytes: int) -> str:
    """Why a model of this size cannot be served from this machine's memory; empty when it can, or lies on a GPU."""
    free, needed = available_bytes(), weights_bytes + BESIDE_WEIGHTS
    if CUDA_DEVICE.exists() or not free or free >= needed:
        return ""
    return (
        f"{free / GIB:.1f} GiB of memory are free, and a model of {weights_bytes / GIB:.1f} GiB needs "
        f"{needed / GIB:.1f} GiB on a CPU; stop other programs, or serve a smaller model"
    )


def _number(file: Path) -> int | None:
    """None where there is no limit."""
    try:
        return int(file.read_text())
    except (OSError, ValueError):
        return None
